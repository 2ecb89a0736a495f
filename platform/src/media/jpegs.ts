const END = Buffer.from([0xff, 0xd9]);

/**
 * The pictures of FFmpeg's `image2pipe`. Its encoder writes FF D9 at the end of each and nowhere
 * else: within coded data a zero follows every FF.
 */
export async function* splitJpegs(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  let pieces: Buffer[] = [];
  for await (const chunk of stream) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let end = endOf(pieces, rest); end !== undefined; end = endOf(pieces, rest)) {
      yield Buffer.concat([...pieces, rest.subarray(0, end)]);
      pieces = [];
      rest = rest.subarray(end);
    }
    if (rest.length > 0) pieces.push(rest);
  }
}

/** Where in `chunk` the picture ends, whose marker may have begun in the piece before. */
function endOf(pieces: Buffer[], chunk: Buffer): number | undefined {
  if (pieces.at(-1)?.at(-1) === 0xff && chunk[0] === 0xd9) return 1;
  const found = chunk.indexOf(END);
  return found < 0 ? undefined : found + END.length;
}
