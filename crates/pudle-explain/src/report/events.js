// Events of a recording. `list` has atom, trial, time, amplitude, confidence and the largest magnitude of the stretch of each.
const traces = data.events ? Int8Array.from(atob(data.events.traces), (c) => c.charCodeAt(0)) : null;
function drawn(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
const plain = (value) => Number(value.toPrecision(3)).toString();
function timeOf([, trial, time]) {
  const { seconds, trials } = data.events;
  return (seconds ? `${time.toFixed(4)} s` : `sample ${time}`) + (trials > 1 ? ` of trial ${trial}` : "");
}
// A frame with its range along both axes.
function framed(label, [left, right], [top, bottom], ...inside) {
  const text = (x, y, anchor, words) => drawn("text", { x, y, "text-anchor": anchor }, words);
  return drawn("svg", { class: "plot", viewBox: "0 0 640 236", role: "img", "aria-label": label },
    drawn("rect", { x: 60, y: 10, width: 570, height: 200, class: "frame" }), ...inside,
    text(54, 20, "end", top), text(54, 210, "end", bottom), text(60, 230, "start", left), text(630, 230, "end", right));
}
function stretchOf(k) {
  const { before, taps, step, seconds, channels, single } = data.events, event = data.events.list[k], wide = 2 * taps;
  const [atom, , , amplitude, confidence, largest] = event;
  const line = (from, kind) => drawn("polyline", { class: kind, points: Array.from({ length: wide }, (_, s) =>
    `${(60 + 570 * s / (wide - 1)).toFixed(1)},${(110 - 95 * traces[from + s] / 127).toFixed(1)}`).join(" ") });
  const unit = seconds ? 1e3 * step : 1, name = seconds ? " ms" : " samples", at = 2 * wide * k;
  const shade = drawn("rect", { class: "shade", x: 60 + 570 * before / (wide - 1), y: 10, width: 570 * taps / (wide - 1), height: 200 });
  return [make("p", {}, `Atom ${atom} at ${timeOf(event)}: amplitude ${plain(amplitude)}, confidence ${plain(confidence)}` + (single ? "." : `, channel ${channels[atom]}.`)),
    framed(`The recording around ${timeOf(event)} and its reconstruction`, [`${plain(-before * unit)}${name}`, `${plain((wide - before) * unit)}${name}`],
      [plain(largest), plain(-largest)], shade, line(at, "seen"), line(at + wide, "rebuilt")),
    make("p", { class: "note" }, "Grey: the recording, less its level. Orange: all events in it. Shaded: the length of the atom.")];
}
// All events of an atom: when they occur and how large they are, and the stretch of the one that is chosen.
function eventsOf(j) {
  const { list, counts, rates, every, length, seconds } = data.events;
  const own = list.map((event, k) => [k, event]).filter(([, event]) => event[0] === j);
  const largest = Math.max(...own.map(([, event]) => event[3]), 1e-30);
  const stretch = make("div", { class: "stretch", "aria-live": "polite" });
  const dots = new Map();
  const show = (k) => {
    for (const [other, dot] of dots) dot.classList.toggle("chosen", other === k);
    stretch.replaceChildren(...stretchOf(k));
  };
  for (const [k, event] of own) {
    dots.set(k, drawn("circle", { class: "dot", r: 3.5, cx: 60 + 570 * event[2] / length, cy: 210 - 195 * event[3] / largest, onclick: () => show(k) },
      drawn("title", {}, `${timeOf(event)}, amplitude ${plain(event[3])}`)));
  }
  const total = counts[j], some = own.length < total ? ` ${own.length} of them are on this page, one in ${every}; all are in events.csv beside it.` : "";
  const rows = make("tbody");
  let order = [2, 1];
  const columns = [["time", 2, timeOf], ["amplitude", 3, (e) => plain(e[3])], ["confidence", 4, (e) => plain(e[4])]];
  const head = make("tr");
  const sort = () => {
    head.replaceChildren(...columns.map(([name, key]) => make("th", { scope: "col", "aria-sort": key !== order[0] ? "none" : order[1] < 0 ? "descending" : "ascending" },
      make("button", { type: "button", onclick: () => { order = [key, key === order[0] ? -order[1] : key === 2 ? 1 : -1]; sort(); } }, name))));
    own.sort(([a, x], [b, y]) => order[1] * (x[1] * (order[0] === 2) - y[1] * (order[0] === 2) || x[order[0]] - y[order[0]]) || a - b);
    rows.replaceChildren(...own.map(([k, event]) => make("tr", {}, make("th", { scope: "row" }, make("button", { type: "button", onclick: () => show(k) }, timeOf(event))),
      ...columns.slice(1).map(([, , text]) => make("td", {}, text(event))))));
  };
  sort();
  const part = make("div", { class: "events" }, make("h3", {}, "Its events"),
    make("p", {}, `${total} events` + (rates ? `, ${plain(rates[j])} a second` : "") + `. Choose one to see it in the recording.${some}`));
  if (own.length === 0) return part;
  part.append(make("div", { class: "columns" },
    make("div", {}, framed(`Amplitudes of the events of atom ${j} over time`, ["0", seconds ? `${plain(length)} s` : plain(length)], [plain(largest), "0"], ...dots.values()),
      make("p", { class: "note" }, "Amplitude over time.")), stretch),
    make("details", {}, make("summary", {}, "These events as a table"), make("div", { class: "scroll", tabindex: "0" }, make("table", {}, make("thead", {}, head), rows))));
  // The one in the middle of the sizes is shown first.
  const middle = [...own].sort(([, x], [, y]) => x[3] - y[3])[Math.floor(own.length / 2)];
  show(middle[0]);
  return part;
}
