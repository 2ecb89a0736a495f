// A picture that a person chose, and cuttings of it.

export class Picture {
  /** Reads a file; `shown` is false for a format that the browser cannot show (TIFF). */
  static async from(file) {
    const image = new Image();
    image.src = URL.createObjectURL(file);
    const shown = await image.decode().then(() => true, () => false);
    return new Picture(file, image, shown);
  }

  constructor(file, image, shown) {
    this.file = file;
    this.name = file.name;
    this.image = image;
    this.shown = shown;
    this.width = image.naturalWidth;
    this.height = image.naturalHeight;
  }

  /** The service's own size: the only one where the browser shows nothing. */
  measured(width, height) {
    this.width = width;
    this.height = height;
  }

  /** Draw a face and some air around it into a square canvas of `size` CSS pixels. */
  cut(canvas, [left, top, right, bottom], size) {
    const pixels = Math.round(size * devicePixelRatio);
    canvas.width = canvas.height = pixels;
    if (!this.shown) return;
    const scale = this.image.naturalWidth / this.width;
    const side = Math.min(1.45 * Math.max(right - left, bottom - top), this.width, this.height);
    const x = between((left + right - side) / 2, this.width - side);
    const y = between((top + bottom - side) / 2, this.height - side);
    const context = canvas.getContext('2d');
    context.imageSmoothingQuality = 'high';
    const [from, across] = [[x * scale, y * scale], side * scale];
    context.drawImage(this.image, ...from, across, across, 0, 0, pixels, pixels);
  }

  forget() {
    URL.revokeObjectURL(this.image.src);
  }
}

function between(value, most) {
  return Math.max(0, Math.min(value, most));
}
