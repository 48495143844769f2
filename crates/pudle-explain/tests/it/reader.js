// What a reader does, done within the page; the value is what was seen, as JSON.
(async () => {
  const seen = { errors: window.troubles };
  const buttons = [...document.querySelectorAll("#grid button")];
  seen.atoms = buttons.length;
  buttons[2].focus();
  seen.focusable = document.activeElement === buttons[2];
  buttons[2].click();
  seen.pressed = buttons[2].getAttribute("aria-pressed");
  seen.detail = document.querySelector("#detail h3").textContent === "Atom " + buttons[2].dataset.atom;
  seen.most = document.querySelectorAll("#detail figure.most").length;
  seen.least = document.querySelectorAll("#detail figure.least").length;
  seen.unnamed = [...document.querySelectorAll("[role=img], img, canvas")].filter((e) => !(e.getAttribute("aria-label") || e.alt)).length;
  buttons[2].focus();
  buttons[2].dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  seen.arrow = document.activeElement === buttons[3];
  seen.stops = buttons.filter((b) => b.tabIndex === 0).length;
  const heading = [...document.querySelectorAll("#numbers th button")].find((b) => b.textContent.startsWith("cosine"));
  heading.click();
  const place = [...document.querySelectorAll("#numbers th")].findIndex((h) => h.textContent.startsWith("cosine"));
  const values = [...document.querySelectorAll("#numbers tbody tr")].map((row) => Number(row.children[place].textContent));
  seen.sorted = values.every((v, k) => k === 0 || values[k - 1] >= v);
  seen.rows = values.length;
  seen.outputs = document.querySelectorAll("#given > .panel").length;
  // The picture of the first output, dropped in, is explained as the program explained it.
  const given = data.outputs[0];
  await take(new File([await (await fetch(given.input)).blob()], "own.png", { type: "image/png" }));
  const own = window.explained;
  seen.status = document.getElementById("status").textContent;
  const code = new Map(own.code);
  seen.code = Math.max(...given.code.map(([j, v]) => Math.abs(v - (code.get(j) || 0))));
  seen.top = own.contributors.most[0][0] === given.contributors.most[0][0];
  seen.weight = Math.abs(own.contributors.most[0][1] - given.contributors.most[0][1]);
  seen.residual = Math.abs(own.residual - given.residual);
  return JSON.stringify(seen);
})()
