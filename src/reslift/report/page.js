"use strict";
// Two things: a click on a table head sorts by it, a click on a picture opens the viewer.

function order(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.order !== undefined) return Number(cell.dataset.order);
  const text = cell.textContent.trim();
  const number = Number.parseFloat(text);
  return Number.isNaN(number) || !/^[-+−]?[\d.]/.test(text) ? text : number;
}

function sortBy(head) {
  const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
  const up = head.ariaSort !== "ascending";
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const rows = [...body.rows].sort((a, b) => {
    const x = order(a, column), y = order(b, column);
    const less = typeof x === "number" && typeof y === "number" ? x - y
      : String(x).localeCompare(String(y), "en", { numeric: true });
    return up ? less : -less;
  });
  body.append(...rows);
}

for (const head of document.querySelectorAll(".sortable th")) {
  head.tabIndex = 0;
  head.addEventListener("click", () => sortBy(head));
  head.addEventListener("keydown", (e) => { if (e.key === "Enter") sortBy(head); });
}

function make(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

const subjects = [...document.querySelectorAll(".subject")];
if (subjects.length) {
  const title = make("b"), left = make("select"), right = make("select");
  const under = make("img", { alt: "" }), over = make("img", { alt: "" });
  const cut = make("div", { className: "cut" });
  const stage = make("div", { className: "stage", tabIndex: 0 }, under, over, cut);
  const leftTag = make("span"), rightTag = make("span");
  const before = make("button", { textContent: "← previous" });
  const after = make("button", { textContent: "next →" });
  const close = make("button", { textContent: "close" });
  const box = make("dialog", {},
    make("div", { className: "bar" }, title, left, "against", right,
      make("span", { className: "end" }, before, after, close)),
    stage, make("div", { className: "tags" }, leftTag, rightTag));
  left.ariaLabel = "left picture"; right.ariaLabel = "right picture";
  document.body.append(box);
  let current = 0, split = 0.5, pictures = [];

  const show = () => {
    const a = pictures[left.selectedIndex], b = pictures[right.selectedIndex];
    over.src = a.src; under.src = b.src;
    over.className = a.className; under.className = b.className;
    leftTag.textContent = `${a.dataset.label} ${a.dataset.note}`;
    rightTag.textContent = `${b.dataset.label} ${b.dataset.note}`;
    const w = Number(a.getAttribute("width")), h = Number(a.getAttribute("height"));
    const roomX = Math.min(innerWidth * 0.96, 1500) - 2, roomY = innerHeight * 0.96 - 92;
    const fit = Math.min(roomX / w, roomY / h);
    const zoom = fit >= 1 ? Math.min(Math.floor(fit), 8) : fit;
    stage.style.width = `${w * zoom}px`;
    stage.style.height = `${h * zoom}px`;
    under.classList.toggle("coarse", zoom > 1);
    over.classList.toggle("coarse", zoom > 1);
    over.style.clipPath = `inset(0 ${100 - split * 100}% 0 0)`;
    cut.style.left = `${split * 100}%`;
  };
  const fill = (select, side, fallback) => {
    const chosen = select.selectedOptions[0]?.textContent;
    select.replaceChildren(...pictures.map((p) => make("option", { textContent: p.dataset.label })));
    const kept = box.open ? pictures.findIndex((p) => p.dataset.label === chosen) : -1;
    const named = pictures.findIndex((p) => p.dataset.side === side);
    select.selectedIndex = kept >= 0 ? kept : named >= 0 ? named : fallback;
  };
  const open = (number, clicked) => {
    current = (number + subjects.length) % subjects.length;
    pictures = [...subjects[current].querySelectorAll("img[data-label]")];
    const head = subjects[current].querySelector("header");
    title.textContent = (head.querySelector("b") ?? head).textContent;
    fill(left, "left", 0);
    fill(right, "right", pictures.length - 1);
    if (clicked && !["left", "right"].includes(clicked.dataset.side))
      right.selectedIndex = pictures.indexOf(clicked);
    if (!box.open) box.showModal();
    stage.focus();
    show();
  };
  const move = (event) => {
    const area = stage.getBoundingClientRect();
    split = Math.min(1, Math.max(0, (event.clientX - area.left) / area.width));
    show();
  };
  subjects.forEach((subject, number) => {
    for (const image of subject.querySelectorAll("img[data-label]")) {
      image.addEventListener("click", () => open(number, image));
      image.addEventListener("keydown", (e) => { if (e.key === "Enter") open(number, image); });
    }
  });
  left.addEventListener("change", show);
  right.addEventListener("change", show);
  before.addEventListener("click", () => open(current - 1));
  after.addEventListener("click", () => open(current + 1));
  close.addEventListener("click", () => box.close());
  stage.addEventListener("pointermove", move);
  stage.addEventListener("pointerdown", move);
  addEventListener("resize", () => { if (box.open) show(); });
  box.addEventListener("keydown", (e) => {
    if (e.target.tagName === "SELECT") return;
    if (e.key === "ArrowLeft") open(current - 1);
    if (e.key === "ArrowRight") open(current + 1);
  });
}
