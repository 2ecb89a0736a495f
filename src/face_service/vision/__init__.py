"""Pure functions on arrays, from the bytes of an image to what each network says of a face."""
