"use strict";
// The network of the page, for a reader's own pictures. Its settings have the names of the model's configuration. A name that is
// not in these tables is refused: a network that runs another operator would explain something else.
const proximalOperators = {
  soft: (v, theta) => Math.sign(v) * Math.max(Math.abs(v) - theta, 0),
  relu: (v, theta) => Math.max(v - theta, 0),
  hard: (v, theta) => Math.abs(v) > theta ? v : 0,
};
// The weight of the extrapolation, from the momentum terms of this layer and the next.
const algorithms = { ista: () => 0, fista: (now, next) => (now - 1) / next };
// The levels of each layer come with the network, so that only names have to be known: these schedules depend on nothing but the layer.
const schedules = ["constant", "decaying", "learned"];
const tyings = ["tied"];

// Why this page cannot run a network, as a sentence, or null if it can.
function refusal(settings) {
  const known = [
    ["proximal operator", settings.prox, Object.keys(proximalOperators)],
    ["algorithm", settings.algorithm, Object.keys(algorithms)],
    ["threshold schedule", settings.schedule, schedules],
    ["weight tying", settings.tying, tyings],
  ];
  const wrong = known.find(([, name, names]) => !names.includes(name));
  if (!wrong) return null;
  const [what, name, names] = wrong;
  return `This page cannot explain pictures of your own: it does not know the ${what} "${name}" of this network, only ${names.join(", ")}.`;
}

// D z for atoms of m values each.
function decode(network, z, m) {
  const sum = new Float64Array(m);
  z.forEach((v, j) => { if (v !== 0) for (let i = 0; i < m; i++) sum[i] += v * network.dictionary[j * m + i]; });
  return sum;
}

// The code of x, p values. The offset is subtracted from x already.
function encode(network, x, p) {
  const m = x.length, prox = proximalOperators[network.prox], extrapolation = algorithms[network.algorithm];
  let z = new Float64Array(p), before = z, momentum = 1;
  for (let t = 0; t < network.layers; t++) {
    const next = t === 0 ? 1 : (1 + Math.sqrt(1 + 4 * momentum * momentum)) / 2, weight = extrapolation(momentum, next);
    momentum = next;
    const point = z.map((v, j) => v + weight * (v - before[j]));
    const residual = decode(network, point, m).map((v, i) => x[i] - v), level = network.levels[Math.min(t, network.levels.length - 1)];
    before = z;
    z = point.map((v, j) => {
      let up = 0;
      for (let i = 0; i < m; i++) up += network.dictionary[j * m + i] * residual[i];
      return prox(v + network.step * up, level[Math.min(j, level.length - 1)]);
    });
  }
  return z;
}

// The settings with weights and codes as arrays.
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
function unpacked(settings) {
  return {
    ...settings, dictionary: new Float32Array(bytes(settings.dictionary)), inverse: new Float32Array(bytes(settings.inverse)),
    starts: new Uint32Array(bytes(settings.starts)), support: new Uint16Array(bytes(settings.support)), values: new Float32Array(bytes(settings.values)),
  };
}
