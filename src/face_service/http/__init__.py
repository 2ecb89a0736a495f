"""What stands between a socket and a route: protocol, lifecycle, middleware, OpenAPI."""
