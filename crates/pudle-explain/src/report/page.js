const data = JSON.parse(document.getElementById("data").textContent);
const [height, width] = data.shape;
const place = new Map(data.tiles.map((datum, k) => [datum, k]));

// Elements.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
function picture(kind, k, columns, side, text) {
  const [high, wide] = kind === "digit" ? data.shape : data.atomShape, factor = side * (data.events ? (kind === "digit" ? 3 : 1.4) : 1) / Math.max(high, wide);
  const [w, h] = [wide * factor, high * factor];
  const rows = { digit: data.tiles.length, atom: data.atoms.length, estimate: data.atoms.length }[kind];
  const element = make("span", { class: `picture ${kind}`, role: "img", "aria-label": text });
  element.style.cssText = `width:${w}px;height:${h}px;background-size:${columns * w}px ${Math.ceil(rows / columns) * h}px;` +
    `background-position:${-(k % columns) * w}px ${-Math.floor(k / columns) * h}px`;
  return element;
}
const atomPicture = (j, side) => picture("atom", j, data.columns, side, `atom ${j}`);
const estimatePicture = (j, side) => picture("estimate", j, data.columns, side, `atom ${j}, rebuilt from training data`);
function digit(datum, side) {
  const text = `${data.datum} ${data.names[place.get(datum)].join(", ")}`;
  return picture("digit", place.get(datum), data.columns, side, text);
}
function pixels(values, side, text) {
  if (typeof values === "string") {
    const image = make("img", { src: values, alt: text, class: "picture" });
    image.style.cssText = `height:${side}px`;
    return image;
  }
  const canvas = make("canvas", { width, height, role: "img", "aria-label": text });
  canvas.style.cssText = `width:${side * width / Math.max(height, width)}px;height:${side * height / Math.max(height, width)}px`;
  const image = new ImageData(width, height);
  values.forEach((v, i) => {
    const shade = 255 * Math.min(Math.max(v, 0), 1);
    image.data.set([shade, shade, shade, 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
const figure = (image, kind, ...caption) =>
  make("figure", { class: kind }, image, make("figcaption", {}, ...caption.flatMap((c, i) => i ? [make("br"), c] : [c])));
const number = (v, digits = 4) => Number.isFinite(v) ? v.toFixed(digits).replace(/^-(0\.?0*)$/, "$1") : "–";

function contributors(name, first, list) {
  const strip = make("div", { class: "strip" }, make("span", { class: "name" }, name), figure(first, "plain", ""));
  for (const kind of ["most", "least"]) {
    for (const [datum, weight] of list[kind]) {
      if (!place.has(datum)) continue;
      strip.append(figure(digit(datum, 56), kind, make("b", {}, `${kind === "most" ? "▲" : "▽"} ${number(weight, 5)}`), ...data.names[place.get(datum)]));
    }
  }
  return strip;
}
function histogram(counts, from, to, what) {
  const most = Math.max(...counts, 1);
  const bars = make("div", { class: "bars", role: "img", "aria-label": `Histogram of ${what}, ${from} to ${to}: ${counts.join(", ")}` });
  counts.forEach((count) => { const bar = make("i"); bar.style.height = `${100 * count / most}%`; bars.append(bar); });
  return make("div", {}, make("h3", {}, what), bars, make("div", { class: "note" }, `${from} to ${to}`));
}

// Atoms.
const grid = document.getElementById("grid"), detail = document.getElementById("detail");
const orders = {
  energy: (a, b) => b.energy - a.energy, count: (a, b) => b.count - a.count, cosine: (a, b) => b.cosine - a.cosine,
  class: (a, b) => (a.class ?? 99) - (b.class ?? 99) || b.energy - a.energy, number: (a, b) => a.number - b.number,
};
let chosen = null;
function showGrid() {
  const order = document.getElementById("order").value, all = document.getElementById("unused").checked;
  grid.replaceChildren(...data.atoms.filter((a) => all || a.count > 0).sort(orders[order]).map((atom) => {
    const text = `Atom ${atom.number}` + (atom.class === undefined ? "" : `, serves ${atom.class}`);
    return make("button", { type: "button", "aria-label": text, title: text, "aria-pressed": String(atom.number === chosen), "data-atom": atom.number, tabindex: -1, onclick: () => choose(atom.number, true) }, atomPicture(atom.number, 42));
  }));
  stop();
}
// One stop of the tab key for all atoms; arrows go on from there.
function stop() {
  const buttons = [...grid.querySelectorAll("button")];
  buttons.forEach((b) => b.setAttribute("tabindex", -1));
  (buttons.find((b) => Number(b.dataset.atom) === chosen) || buttons[0])?.setAttribute("tabindex", 0);
}
grid.addEventListener("keydown", (event) => {
  const buttons = [...grid.querySelectorAll("button")], k = buttons.indexOf(document.activeElement);
  const across = buttons.filter((b) => b.offsetTop === buttons[0].offsetTop).length;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across, Home: -k, End: buttons.length - 1 - k }[event.key];
  if (k < 0 || step === undefined) return;
  event.preventDefault();
  const next = buttons[Math.min(Math.max(k + step, 0), buttons.length - 1)];
  buttons.forEach((b) => b.setAttribute("tabindex", -1));
  next.setAttribute("tabindex", 0);
  next.focus();
});
function choose(j, move) {
  chosen = j;
  for (const button of grid.children) button.setAttribute("aria-pressed", String(Number(button.dataset.atom) === j));
  stop();
  const atom = data.atoms[j];
  const classes = (atom.classes || []).map((share, c) => [c, share]).filter(([, s]) => s > 0.005).sort((a, b) => b[1] - a[1]);
  detail.replaceChildren(
    make("h3", { id: "chosen" }, `Atom ${j}`),
    make("p", {}, `Used by ${atom.count} of ${data.count} data; cosine with its estimate ${number(atom.cosine, 3)}, relative residual ${number(atom.residual, 3)}. ` + (atom.lambda === undefined ? "" : `λ ${number(atom.lambda, 3)}. `) +
      (classes.length ? `Energy by class: ${classes.map(([c, s]) => `${c} ${Math.round(100 * s)} %`).join(", ")}. ` : "") +
      (atom.path === undefined ? "" : `Iterating the network from it ends at atom ${atom.path.atom}, cosine ${number(atom.path.cosine, 3)}, with start ${number(atom.path.stayed, 3)}.`)),
    atom.by_code ? contributors("Learned", atomPicture(j, 84), atom.by_code) : make("div", { class: "strip" }, make("span", { class: "name" }, "Learned"), atomPicture(j, 84)),
    contributors("Estimate", estimatePicture(j, 84), atom.contributors),
    make("p", { class: "note" }, data.note),
    make("div", { class: "columns" }, histogram(atom.histogram, "0", number(atom.largest, 2), "Codes where it is used")),
    ...(data.events ? [eventsOf(j)] : []));
  detail.hidden = false;
  if (move) { detail.scrollIntoView({ block: "nearest" }); detail.focus({ preventScroll: true }); }
}
document.getElementById("order").addEventListener("change", showGrid);
document.getElementById("unused").addEventListener("change", showGrid);

// Outputs.
function output(o) {
  const panel = make("div", { class: "panel" }, make("h3", {}, o.name + (o.label === null || o.label === undefined ? "" : `, a ${o.label}`)),
    make("p", {}, `The estimate leaves out ${number(100 * o.residual, 1)} % of the reconstruction.`),
    make("div", { class: "strip" }, make("span", { class: "name" }, data.events ? "Signal" : "Image"), figure(pixels(o.input, 84, "what went in"), "plain", "")),
    ...(o.by_code ? [contributors("Rec", pixels(o.reconstruction, 84, "reconstruction"), o.by_code)] : [
      make("div", { class: "strip" }, make("span", { class: "name" }, "Output"), figure(pixels(o.reconstruction, 84, "what came out"), "plain", "there"),
        figure(pixels(o.own, 84, "what this position adds"), "plain", "its own part"))]),
    contributors("Estimate", pixels(o.estimate, 84, "rebuilt from training data"), o.contributors));
  if (o.nearest) {
    panel.append(make("div", { class: "strip" }, make("span", { class: "name" }, "Nearest codes"),
      ...o.nearest.filter(([d]) => place.has(d)).map(([d, c]) => figure(digit(d, 56), "plain", `cosine ${number(c, 3)}`, ...data.names[place.get(d)]))));
  }
  const codes = make("div", { class: "strip codes" }, make("span", { class: "name" }, "Code"));
  for (const [j, value] of o.code.slice(0, 12)) {
    codes.append(make("button", { type: "button", "aria-label": `atom ${j}, ${number(value, 2)}`, onclick: () => choose(j, true) }, atomPicture(j, 28), number(value, 2)));
  }
  panel.append(codes);
  if (o.saliency && o.saliency.length) {
    panel.append(make("div", { class: "strip" }, make("span", { class: "name" }, "Saliency"),
      ...o.saliency.map((s, k) => figure(pixels(s, 56, `derivative of the code of atom ${o.code[k][0]}`), "plain", `∂z/∂x of atom ${o.code[k][0]}`))));
  }
  return panel;
}
const given = document.getElementById("given");

// A picture of the reader's own.
let network = null;
async function loadNetwork() {
  if (network) return network;
  const tiles = new Image();
  tiles.src = getComputedStyle(document.querySelector(".digit") || grid.appendChild(make("span", { class: "digit", hidden: "" }))).backgroundImage.slice(5, -2);
  await tiles.decode();
  const canvas = make("canvas", { width: tiles.width, height: tiles.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(tiles, 0, 0);
  network = { ...unpacked(data.network), sheet: context.getImageData(0, 0, tiles.width, tiles.height).data, across: tiles.width };
  return network;
}
function ranked(weights, count) {
  const norm = Math.sqrt(weights.reduce((s, w) => s + w * w, 0)) || 1;
  const order = [...weights.keys()].sort((a, b) => Math.abs(weights[b]) - Math.abs(weights[a]) || a - b);
  const named = (k) => [k, weights[k] / norm];
  return { most: order.slice(0, count).map(named), least: order.slice(-4).reverse().map(named) };
}
function explain(n, name, input) {
  const m = height * width, p = data.atoms.length, x = input.map((v) => v - n.offset), z = encode(n, x, p), q = new Float64Array(p);
  z.forEach((v, j) => { if (v !== 0) for (let i = 0; i < p; i++) q[i] += v * n.inverse[j * p + i]; });
  const beta = new Float64Array(data.count), alike = new Float64Array(data.count), estimate = new Float64Array(m);
  for (let k = 0; k < data.count; k++) {
    for (let e = n.starts[k]; e < n.starts[k + 1]; e++) { beta[k] += n.values[e] * q[n.support[e]]; alike[k] += n.values[e] * z[n.support[e]]; }
    const [left, top] = [k % data.columns * width, Math.floor(k / data.columns) * height];
    for (let i = 0; i < m; i++) estimate[i] += beta[k] * (n.sheet[4 * ((top + Math.floor(i / width)) * n.across + left + i % width)] / 255 - n.offset);
  }
  const reconstruction = decode(n, z, m), size = (v) => Math.sqrt(v.reduce((s, w) => s + w * w, 0));
  return {
    name, label: null, input: [...input], reconstruction: [...reconstruction].map((v) => v + n.offset), estimate: [...estimate].map((v) => v + n.offset),
    residual: size(reconstruction.map((v, i) => v - estimate[i])) / (size(reconstruction) || 1),
    contributors: ranked(beta, data.top), by_code: ranked(alike, data.top),
    code: [...z].map((v, j) => [j, v]).filter(([, v]) => v !== 0).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])),
  };
}
async function take(file) {
  const status = document.getElementById("status");
  try {
    const refused = refusal(data.network);
    if (refused) { status.textContent = refused; return; }
    const bitmap = await createImageBitmap(file), canvas = make("canvas", { width, height }), context = canvas.getContext("2d");
    context.fillStyle = "#000"; context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0, width, height);
    const rgba = context.getImageData(0, 0, width, height).data;
    const exact = bitmap.width === width && bitmap.height === height;
    let input = Float64Array.from({ length: height * width }, (_, i) => (0.299 * rgba[4 * i] + 0.587 * rgba[4 * i + 1] + 0.114 * rgba[4 * i + 2]) / 255);
    const border = input.filter((_, i) => i < width || i >= (height - 1) * width), bright = border.reduce((s, v) => s + v, 0) / border.length > 0.5;
    if (bright) input = input.map((v) => 1 - v);
    const found = explain(await loadNetwork(), file.name, input);
    const panel = output(found);
    panel.id = "own"; document.getElementById("own")?.remove(); given.prepend(panel); window.explained = found;
    status.textContent = `${file.name}: explained below.` + (exact ? "" : ` Scaled to ${width}×${height} pixels.`) + (bright ? " Dark on light, so it was inverted." : "");
  } catch (error) { status.textContent = `${file.name}: could not be explained (${error.message}).`; }
}
if (data.network && refusal(data.network)) {
  document.getElementById("choose").hidden = true;
  document.getElementById("status").textContent = refusal(data.network);
} else if (data.network) {
  const drop = document.getElementById("drop");
  document.getElementById("file").addEventListener("change", (event) => { if (event.target.files[0]) take(event.target.files[0]); });
  document.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  document.addEventListener("dragleave", () => drop.classList.remove("over"));
  document.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]); });
}

// The table.
const columns = [
  ["atom", (a) => a.number, 0], ["energy", (a) => a.energy, 1], ["uses", (a) => a.count, 0], ["mean code", (a) => a.mean, 3],
  ...(data.atoms.some((a) => a.classes) ? [["class", (a) => a.class ?? NaN, 0], ["share", (a) => a.share ?? NaN, 3]] : []), ...(data.atoms.some((a) => a.lambda !== undefined) ? [["λ", (a) => a.lambda, 3]] : []), ["cosine", (a) => a.cosine, 4], ["residual", (a) => a.residual, 4], ...(data.atoms.some((a) => a.by_code) ? [["‖α‖", (a) => a.contributors.norm, 4]] : []),
];
let sorted = ["energy", -1];
function showTable() {
  const head = document.querySelector("#numbers thead tr"), body = document.querySelector("#numbers tbody");
  head.replaceChildren(...columns.map(([name]) => make("th", { scope: "col", "aria-sort": name !== sorted[0] ? "none" : sorted[1] < 0 ? "descending" : "ascending" },
    make("button", { type: "button", onclick: () => { sorted = [name, name === sorted[0] ? -sorted[1] : -1]; showTable(); [...head.querySelectorAll("button")].find((b) => b.textContent.startsWith(name)).focus(); } },
      name + (name === sorted[0] ? (sorted[1] < 0 ? " ▼" : " ▲") : "")))));
  const value = columns.find(([name]) => name === sorted[0])[1], order = (v) => Number.isNaN(v) ? -Infinity : v;
  const rows = [...data.atoms].sort((a, b) => sorted[1] * (order(value(a)) - order(value(b))) || a.number - b.number);
  body.replaceChildren(...rows.map((atom) => make("tr", {}, ...columns.map(([name, get, digits]) =>
    make(name === "atom" ? "th" : "td", name === "atom" ? { scope: "row" } : {}, name === "atom" ? make("button", { type: "button", onclick: () => choose(atom.number, true) }, String(atom.number)) : number(get(atom), digits))))));
}

showGrid();
showTable();
given.append(...data.outputs.map(output));
const first = [...data.atoms].sort(orders.energy)[0];
if (first) choose(first.number, false);
