"use strict";
// A map of points with a picture behind each. Everything is in the JSON of #explorer-data; a sheet
// of pictures is decoded when one of them is first looked at, so that many points open at once.
{
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const root = document.querySelector(".explorer");
  const count = data.names.length, OTHER = data.palette.length;
  const view = { map: 0, colour: 0, marks: "dots", zoom: 1, x: 0, y: 0 };
  let hovered = -1, chosen = -1, lit = -1, waiting = false;

  const stage = make("div", { className: "stage" });
  const back = make("canvas"), front = make("canvas", { className: "front", tabIndex: 0 });
  const tip = make("div", { className: "tip", hidden: true });
  const key = make("div", { className: "key" });
  const detail = make("aside", { className: "detail" });
  detail.ariaLive = "polite";
  front.setAttribute("role", "application");
  front.ariaLabel = `Map of ${count} pictures: arrow keys go from point to point, plus and minus zoom, 0 shows all`;

  // Pictures
  const loaded = new Map();
  const sheet = (kind, number) => {
    const name = `${kind}/${number}`;
    if (!loaded.has(name)) {
      const image = new Image();
      image.decoding = "async";
      image.onload = () => { image.ready = true; redraw(); for (const act of image.after) act(); };
      image.after = [];
      loaded.set(name, image);
      image.src = data.sheets[kind].sources[number];
    }
    return loaded.get(name);
  };
  const place = (kind, point) => {
    const s = data.sheets[kind], inside = point % s.count;
    const at = s.sizes.length === 2 ? 0 : 2 * point;
    return {
      image: sheet(kind, Math.floor(point / s.count)),
      x: (inside % s.columns) * s.cell[0], y: Math.floor(inside / s.columns) * s.cell[1],
      w: s.sizes[at], h: s.sizes[at + 1],
    };
  };
  const shot = (kind, point, label, width = 0, height = 0) => {
    const p = place(kind, point), canvas = make("canvas", { width: width || p.w, height: height || p.h });
    canvas.setAttribute("role", "img");
    canvas.ariaLabel = label;
    if (canvas.width > p.w || p.w < 160) canvas.className = "coarse";
    const draw = () => {
      const pen = canvas.getContext("2d");
      pen.imageSmoothingEnabled = false;
      pen.drawImage(p.image, p.x, p.y, p.w, p.h, 0, 0, canvas.width, canvas.height);
    };
    if (p.image.ready) draw(); else p.image.after.push(draw);
    return canvas;
  };

  // Colours
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const column = () => data.columns[view.colour];
  const blend = (stops, t) => {
    const at = Math.min(Math.max(t, 0), 1) * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
    return `rgb(${stops[low].map((v, i) => Math.round(v + (stops[low + 1][i] - v) * (at - low))).join(" ")})`;
  };
  const STEPS = 48;
  const groups = () => {
    const c = column(), list = [];
    if (c.kind === "label") {
      for (let n = 0; n <= OTHER; n++) list.push({ colour: n < OTHER ? data.palette[n] : css("--soft"), points: [] });
      c.values.forEach((v, i) => list[Math.min(v, OTHER)].points.push(i));
      return list.reverse();
    }
    for (let n = 0; n < STEPS; n++) list.push({ colour: blend(c.stops, n / (STEPS - 1)), points: [] });
    c.values.forEach((v, i) => {
      const t = v === "∞" ? 1 : v === "-∞" ? 0 : (v - c.low) / (c.high - c.low || 1);
      list[Math.round(Math.min(Math.max(t, 0), 1) * (STEPS - 1))].points.push(i);
    });
    return list;
  };
  const shown = (value, decimals) => (typeof value === "string" ? value : value.toFixed(decimals));

  // Geometry: a map lies in the unit square, y upwards
  let width = 0, height = 0, screen = new Float32Array(2 * count);
  const side = () => Math.min(width, height) - 44;
  const lay = () => {
    const flat = data.maps[view.map].points, s = side() * view.zoom;
    for (let i = 0; i < count; i++) {
      screen[2 * i] = width / 2 + (flat[2 * i] - 0.5 - view.x) * s;
      screen[2 * i + 1] = height / 2 - (flat[2 * i + 1] - 0.5 - view.y) * s;
    }
  };
  const radius = () => Math.min(7, Math.max(1.7, 26 / Math.sqrt(count) + 1.2) * Math.sqrt(view.zoom) ** 0.6);
  const tile = () => Math.min(72, Math.max(12, side() / Math.sqrt(count) * 0.8) * Math.sqrt(view.zoom));
  const near = (x, y, reach) => {
    let best = -1, least = reach * reach;
    for (let i = 0; i < count; i++) {
      const d = (screen[2 * i] - x) ** 2 + (screen[2 * i + 1] - y) ** 2;
      if (d < least) { least = d; best = i; }
    }
    return best;
  };

  const dim = (point) => lit >= 0 && Math.min(column().values[point], OTHER) !== lit;
  const draw = () => {
    waiting = false;
    const pen = back.getContext("2d"), r = radius(), full = 2 * Math.PI;
    pen.clearRect(0, 0, width, height);
    if (view.marks === "pictures") drawPictures(pen);
    else for (const group of groups()) {
      pen.fillStyle = group.colour;
      pen.globalAlpha = count > 3000 ? 0.75 : 0.85;
      pen.beginPath();
      for (const i of group.points) {
        if (dim(i)) pen.globalAlpha = 0.09;
        const x = screen[2 * i], y = screen[2 * i + 1];
        if (x < -r || y < -r || x > width + r || y > height + r) continue;
        pen.moveTo(x + r, y);
        pen.arc(x, y, r, 0, full);
      }
      pen.fill();
    }
    pen.globalAlpha = 1;
    drawFront();
    document.documentElement.dataset.ready ??= String(Math.round(performance.now()));
  };
  const drawPictures = (pen) => {
    const size = tile(), colours = [];
    for (const group of groups()) for (const i of group.points) colours[i] = group.colour;
    pen.lineWidth = size > 24 ? 2 : 1;
    for (let i = 0; i < count; i++) {
      const x = screen[2 * i], y = screen[2 * i + 1];
      if (x < -size || y < -size || x > width + size || y > height + size) continue;
      const p = place("thumb", i);
      pen.globalAlpha = dim(i) ? 0.12 : 1;
      const k = size / Math.max(p.w, p.h), w = p.w * k, h = p.h * k;
      if (p.image.ready) pen.drawImage(p.image, p.x, p.y, p.w, p.h, x - w / 2, y - h / 2, w, h);
      pen.strokeStyle = colours[i];
      pen.strokeRect(x - w / 2, y - h / 2, w, h);
    }
  };
  const drawFront = () => {
    const pen = front.getContext("2d");
    pen.clearRect(0, 0, width, height);
    const ring = (i, extra, colour, thick) => {
      const x = screen[2 * i], y = screen[2 * i + 1];
      pen.beginPath();
      pen.strokeStyle = colour;
      pen.lineWidth = thick;
      if (view.marks === "dots") pen.arc(x, y, radius() + extra, 0, 2 * Math.PI);
      else {
        const p = place("thumb", i), k = tile() / Math.max(p.w, p.h), w = p.w * k, h = p.h * k;
        if (p.image.ready) pen.drawImage(p.image, p.x, p.y, p.w, p.h, x - w / 2, y - h / 2, w, h);
        pen.rect(x - w / 2 - 1, y - h / 2 - 1, w + 2, h + 2);
      }
      pen.stroke();
    };
    if (chosen >= 0) {
      pen.globalAlpha = 0.55;
      pen.strokeStyle = css("--ink");
      pen.lineWidth = 1;
      pen.beginPath();
      for (const i of data.neighbours[chosen]) {
        pen.moveTo(screen[2 * chosen], screen[2 * chosen + 1]);
        pen.lineTo(screen[2 * i], screen[2 * i + 1]);
      }
      pen.stroke();
      pen.globalAlpha = 1;
      for (const i of data.neighbours[chosen]) ring(i, 2, css("--ink"), 1.2);
      ring(chosen, 5, css("--ink"), 2.5);
    }
    if (hovered >= 0 && hovered !== chosen) ring(hovered, 4, css("--accent"), 2.5);
  };
  const redraw = () => { if (!waiting) { waiting = true; requestAnimationFrame(draw); } };
  const fit = () => {
    const box = stage.getBoundingClientRect(), dense = devicePixelRatio || 1;
    width = box.width; height = box.height;
    for (const canvas of [back, front]) {
      canvas.width = Math.round(width * dense);
      canvas.height = Math.round(height * dense);
      canvas.getContext("2d").setTransform(dense, 0, 0, dense, 0, 0);
    }
    lay(); redraw();
  };

  // The panel beside the map
  const title = (point) => (data.labels ? data.labels[data.columns.find((c) => c.kind === "label").values[point]] : "");
  const numbers = (point) => data.columns.filter((c) => c.kind !== "label").map((c) =>
    [c.label, `${shown(c.values[point], c.decimals)}${c.unit ? ` ${c.unit}` : ""}`]);
  const under = (kind, point) => {
    const c = data.columns.find((one) => one.key === data.under[kind]);
    return c ? `${shown(c.values[point], c.decimals)} ${c.unit}` : "";
  };
  const choose = (point) => {
    chosen = point;
    delete detail.dataset.point;
    detail.replaceChildren();
    if (point < 0) { detail.append(make("p", { className: "note", textContent: data.invitation })); drawFront(); return; }
    const shots = make("div", { className: "shots" });
    for (const [kind, label] of data.kinds) {
      const big = place("hr", point);
      shots.append(make("figure", {}, make("figcaption", {}, make("b", { textContent: label }), ` ${under(kind, point)}`),
        shot(kind, point, `${label} of ${data.names[point]}`, big.w, big.h)));
    }
    const list = make("dl", { className: "facts" });
    for (const [name, value] of numbers(point))
      list.append(make("dt", { textContent: name }), make("dd", { textContent: value }));
    list.append(make("dt", { textContent: "CSV row" }), make("dd", { textContent: point }));
    shots.append(list);
    const beside = make("div", { className: "beside" });
    data.neighbours[point].forEach((other, rank) => {
      const words = title(other) || data.names[other];
      const button = make("button", { title: `${data.names[other]}, distance ${data.distances[point][rank]}` },
        shot("thumb", other, data.names[other]), make("small", { textContent: words }));
      button.dataset.point = other;
      button.addEventListener("click", () => { choose(other); front.focus(); });
      beside.append(button);
    });
    detail.append(make("h3", { textContent: data.names[point] }),
      make("p", { className: "label", textContent: title(point) }), shots,
      make("h4", { textContent: "Nearest in the latent space" }), beside);
    detail.dataset.point = point;
    drawFront();
  };
  const hover = (point) => {
    if (point === hovered) return;
    hovered = point;
    tip.hidden = point < 0;
    if (point >= 0) {
      const p = place("thumb", point), scale = Math.max(1, Math.floor(128 / Math.max(p.w, p.h)));
      const c = column(), value = c.kind === "label" ? "" : `${c.label} ${shown(c.values[point], c.decimals)} ${c.unit}`;
      tip.replaceChildren(shot("thumb", point, "", p.w * scale, p.h * scale),
        make("b", { textContent: title(point) || data.names[point] }),
        make("span", { textContent: title(point) ? data.names[point] : "" }), make("span", { textContent: value }));
      const x = screen[2 * point], y = screen[2 * point + 1], box = tip.getBoundingClientRect();
      tip.style.left = `${Math.max(4, x + 16 + box.width > width ? x - box.width - 16 : x + 16)}px`;
      tip.style.top = `${Math.max(4, Math.min(y - 20, height - box.height - 6))}px`;
    }
    drawFront();
  };

  // Moving about
  const zoomAt = (factor, x = width / 2, y = height / 2) => {
    const old = view.zoom;
    view.zoom = Math.min(60, Math.max(0.5, old * factor));
    const s = side(), dx = x - width / 2, dy = height / 2 - y;
    view.x += dx / (s * old) - dx / (s * view.zoom);
    view.y += dy / (s * old) - dy / (s * view.zoom);
    hover(-1); lay(); redraw();
  };
  const reset = () => { Object.assign(view, { zoom: 1, x: 0, y: 0 }); hover(-1); lay(); redraw(); };
  const step = (dx, dy) => {
    const from = chosen >= 0 ? chosen : near(width / 2, height / 2, Infinity);
    if (chosen < 0) { choose(from); return; }
    let best = -1, least = Infinity;
    for (let i = 0; i < count; i++) {
      const x = screen[2 * i] - screen[2 * from], y = screen[2 * i + 1] - screen[2 * from + 1];
      const along = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx);
      const cost = along + 2 * aside;
      if (along > 0.5 && aside <= along * 1.5 && cost < least) { least = cost; best = i; }
    }
    if (best < 0) return;
    choose(best);
    const x = screen[2 * best], y = screen[2 * best + 1], s = side() * view.zoom;
    if (x < 20 || y < 20 || x > width - 20 || y > height - 20) {
      view.x += (x - width / 2) / s; view.y -= (y - height / 2) / s; lay(); redraw();
    }
  };
  let grip = null;
  const spot = (event) => { const box = front.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const reach = () => (view.marks === "dots" ? 14 : tile());
  front.addEventListener("pointerdown", (event) => {
    grip = { at: spot(event), x: view.x, y: view.y, moved: false };
    front.setPointerCapture(event.pointerId);
  });
  front.addEventListener("pointermove", (event) => {
    const [x, y] = spot(event);
    if (!grip) { hover(near(x, y, reach())); return; }
    const dx = x - grip.at[0], dy = y - grip.at[1], s = side() * view.zoom;
    grip.moved ||= Math.hypot(dx, dy) > 4;
    if (grip.moved) { hover(-1); view.x = grip.x - dx / s; view.y = grip.y + dy / s; lay(); redraw(); }
  });
  front.addEventListener("pointerup", (event) => {
    if (grip && !grip.moved) choose(near(...spot(event), reach()));
    grip = null;
  });
  front.addEventListener("pointercancel", () => { grip = null; });
  front.addEventListener("pointerleave", () => hover(-1));
  front.addEventListener("wheel", (event) => {
    if (document.activeElement !== front && !event.ctrlKey) return;
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY / 400), ...spot(event));
  }, { passive: false });
  front.addEventListener("keydown", (event) => {
    const act = {
      ArrowLeft: () => step(-1, 0), ArrowRight: () => step(1, 0), ArrowUp: () => step(0, -1), ArrowDown: () => step(0, 1),
      "+": () => zoomAt(1.5), "=": () => zoomAt(1.5), "-": () => zoomAt(1 / 1.5), 0: reset, Escape: () => choose(-1),
    }[event.key];
    if (act && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); act(); }
  });

  // Switches and legend
  const legend = () => {
    const c = column();
    key.replaceChildren();
    if (c.kind !== "label") {
      const colours = [0, 0.25, 0.5, 0.75, 1].map((t) => blend(c.stops, t)).join(", ");
      const bar = make("i");
      bar.style.background = `linear-gradient(90deg, ${colours})`;
      const ticks = [0, 0.5, 1].map((t) => make("b", { textContent: `${["≤ ", "", "≥ "][2 * t]}${(c.low + t * (c.high - c.low)).toFixed(c.decimals)}` }));
      key.append(make("span", { textContent: `${c.label}${c.unit ? `, ${c.unit}` : ""}` }),
        make("span", { className: "ramp" }, bar, make("span", { className: "ticks" }, ...ticks)));
      return;
    }
    const sums = new Array(OTHER + 1).fill(0);
    for (const v of c.values) sums[Math.min(v, OTHER)]++;
    sums.forEach((sum, n) => {
      if (!sum) return;
      const dot = make("i");
      dot.style.background = n < OTHER ? data.palette[n] : "var(--soft)";
      const button = make("button", {}, dot, `${n < OTHER ? data.labels[n] : `${data.labels.length - OTHER} others`} ${sum}`);
      button.ariaPressed = String(lit === n);
      button.addEventListener("click", () => { lit = lit === n ? -1 : n; legend(); redraw(); });
      key.append(button);
    });
  };
  const segments = (name, options, pick) => {
    const box = make("div", { className: "segments" });
    options.forEach(([value, label], number) => {
      const input = make("input", { type: "radio", name, value, checked: number === 0 });
      input.addEventListener("change", () => pick(value));
      box.append(make("label", {}, input, label));
    });
    return make("fieldset", {}, make("legend", { textContent: name }), box);
  };
  const words = make("p", { className: "hint" });
  const remap = (number) => {
    const map = data.maps[number];
    view.map = number;
    words.textContent = map.words;
    reset();
  };
  const zoom = make("div", { className: "zoom" });
  for (const [text, label, act] of [["+", "zoom in", () => zoomAt(1.5)], ["−", "zoom out", () => zoomAt(1 / 1.5)], ["all", "show all", reset]]) {
    const button = make("button", { textContent: text });
    button.ariaLabel = label;
    button.addEventListener("click", act);
    zoom.append(button);
  }
  stage.append(back, front, tip, zoom);
  const hint = make("p", { className: "hint" }, "Hover shows a picture, a click its LR, SR, HR and error. Drag moves; the wheel zooms once the map was clicked. Keys: ");
  for (const [keys, what] of [["← ↑ → ↓", " next point, "], ["+ −", " zoom, "], ["0", " all, "], ["Esc", " none."]])
    hint.append(make("kbd", { textContent: keys }), what);
  root.append(
    make("div", { className: "controls" },
      segments("map", data.maps.map((m, n) => [n, m.label]), remap),
      segments("colour", data.columns.filter((c) => c.colour).map((c) => [data.columns.indexOf(c), c.label]), (n) => { view.colour = n; lit = -1; legend(); redraw(); }),
      segments("marks", [["dots", "dots"], ["pictures", "pictures"]], (m) => { view.marks = m; redraw(); })),
    make("div", {}, stage, key, words, hint, ...root.children), detail);
  legend();
  remap(0);
  choose(-1);
  new ResizeObserver(fit).observe(stage);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { legend(); redraw(); });
}
