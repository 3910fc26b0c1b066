/** Pictures of a run: values to canvases, and files of a person to values. */

import { el } from "./dom.mjs";

/** Pixels of a file that are decoded, and the bytes in which its size must stand. */
const MOST = 50_000_000, HEAD = 2 ** 20;

/** One picture of the run's shape as a canvas. */
export function picture({ shape: [channels, height, width], span: [low, high] }, x, size = "", label = "A sample") {
  const canvas = el("canvas", { class: `picture ${size}`, width, height, role: "img", "aria-label": label });
  const image = new ImageData(width, height), area = width * height;
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = (255 * (x[(channels === 1 ? 0 : c) * area + i] - low)) / (high - low);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Bytes as values between black and white of the run. */
export function values_of(bytes, [low, high]) {
  return Float32Array.from(bytes, (v) => low + ((high - low) * v) / 255);
}

/** Points of the line or the plane as a cloud. */
export function scatter(x, width) {
  const canvas = el("canvas", { class: "picture large", width: 300, height: 300, role: "img", "aria-label": `${x.length / width} samples as points` });
  const g = canvas.getContext("2d"), most = x.reduce((a, v) => Math.max(a, Math.abs(v)), 1e-9) * 1.1;
  g.fillStyle = "#f2a367";
  for (let i = 0; i < x.length; i += width) {
    const y = width === 1 ? 0 : x[i + 1];
    g.fillRect(150 + (150 * x[i]) / most, 150 - (150 * y) / most, 3, 3);
  }
  return canvas;
}

// Files

/** [width, height] as the first bytes of a file state it, nothing decoded; null where they do not. */
export function size_of(bytes) {
  if (bytes.length < 30) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (at, n) => String.fromCharCode(...bytes.subarray(at, at + n));
  if (text(1, 3) === "PNG") return [view.getUint32(16), view.getUint32(20)];
  if (text(0, 4) === "GIF8") return [view.getUint16(6, true), view.getUint16(8, true)];
  if (text(0, 2) === "BM") return [view.getInt32(18, true), Math.abs(view.getInt32(22, true))];
  if (text(8, 4) === "WEBP") return size_of_webp(view, text(12, 4));
  return view.getUint16(0) === 0xffd8 ? size_of_jpeg(view) : null;
}

function size_of_webp(view, kind) {
  if (kind === "VP8X") return [24, 27].map((at) => 1 + view.getUint16(at, true) + (view.getUint8(at + 2) << 16));
  if (kind === "VP8 ") return [26, 28].map((at) => view.getUint16(at, true) & 0x3fff);
  const bits = view.getUint32(21, true);
  return kind === "VP8L" ? [1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff)] : null;
}

/** From segment to segment, to the one that begins a frame. */
function size_of_jpeg(view) {
  for (let at = 2; at + 9 < view.byteLength; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint8(at + 1);
    if (view.getUint8(at) !== 0xff) return null;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) return [view.getUint16(at + 7), view.getUint16(at + 5)];
  }
  return null;
}

/** A file's picture, cut to the run's proportions and resized.
 *
 * @throws {Error} One sentence, for no picture, a damaged one or one of too many pixels, which is not decoded.
 */
export async function read_picture(file, run) {
  const size = size_of(new Uint8Array(await file.slice(0, HEAD).arrayBuffer()));
  if (!size) throw new Error("The file must be a PNG, JPEG, WebP, GIF or BMP picture.");
  const [w, h] = size.map((n) => n.toLocaleString("en"));
  if (size[0] * size[1] > MOST) throw new Error(`The picture must have at most ${MOST / 1e6} million pixels, got ${w} x ${h}; it was not decoded.`);
  try {
    return as_values(await resized(await createImageBitmap(file), run), run);
  } catch {
    throw new Error("The picture must be one that this browser can decode; this one is damaged, or of another kind than its name says.");
  }
}

/** The pixels of the largest centred part, on white where it is transparent. */
async function resized(whole, { shape: [, height, width] }) {
  const scale = Math.min(whole.width / width, whole.height / height), w = scale * width, h = scale * height;
  const to = { resizeWidth: width, resizeHeight: height, resizeQuality: "high" };
  const part = await createImageBitmap(whole, Math.floor((whole.width - w) / 2), Math.floor((whole.height - h) / 2), Math.max(1, Math.floor(w)), Math.max(1, Math.floor(h)), to);
  whole.close();
  const g = new OffscreenCanvas(width, height).getContext("2d");
  g.fillStyle = "#fff";
  g.fillRect(0, 0, width, height);
  g.drawImage(part, 0, 0);
  return g.getImageData(0, 0, width, height).data;
}

/** RGBA bytes as values, channel by channel; grey by ITU-R 601-2, as the library reads pictures. */
export function as_values(rgba, { shape: [channels, height, width], span }) {
  const area = height * width, bytes = new Uint8Array(channels * area);
  for (let i = 0; i < area; i++) {
    const [r, g, b] = rgba.subarray(4 * i, 4 * i + 3);
    if (channels === 1) bytes[i] = Math.round((299 * r + 587 * g + 114 * b) / 1000);
    else [r, g, b].forEach((v, c) => (bytes[c * area + i] = v));
  }
  return values_of(bytes, span);
}
