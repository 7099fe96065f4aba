"use strict";
(() => {
  const data = JSON.parse(document.getElementById("trials").textContent);
  const tip = document.getElementById("tip");
  const escape = (text) => String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

  const percent = (value) => `${(100 * value).toFixed(2)}%`;
  const count = (value) => (value >= 1e9 ? `${(value / 1e9).toFixed(2)}G` : value >= 1e6 ? `${(value / 1e6).toFixed(1)}M` : value >= 1e3 ? `${(value / 1e3).toFixed(1)}K` : String(value));

  // A trial's choices by stage and field, as a stage table; decisions that belong to no stage come below.
  function stageTable(genes) {
    const rows = new Map(), fields = [], alone = [];
    data.decisions.forEach((name, place) => {
      const value = data.values[place][genes[place]], dot = name.lastIndexOf(".");
      if (dot < 0) { alone.push([name, value]); return; }
      const row = name.slice(0, dot), field = name.slice(dot + 1);
      if (!fields.includes(field)) fields.push(field);
      if (!rows.has(row)) rows.set(row, {});
      rows.get(row)[field] = value;
    });
    const head = fields.length ? `<tr><th></th>${fields.map((one) => `<th scope="col">${escape(one)}</th>`).join("")}</tr>` : "";
    const body = [...rows].map(([row, cells]) => `<tr><th scope="row">${escape(row)}</th>${fields.map((one) => `<td>${escape(cells[one] ?? "")}</td>`).join("")}</tr>`);
    const rest = alone.map(([name, value]) => `<tr><th scope="row">${escape(name)}</th><td>${escape(value)}</td></tr>`);
    return `<table>${head}${body.join("")}${rest.join("")}</table>`;
  }

  function describe(place) {
    const [number, accuracy, macs, params, reward, genes] = data.trials[place];
    const costs = [macs === null ? "" : `${count(macs)} MACs`, params === null ? "" : `${count(params)} params`, reward === null ? "" : `reward ${reward.toFixed(4)}`];
    return `<p><strong>Trial ${escape(number)}</strong>: ${percent(accuracy)}${costs.filter(Boolean).map((one) => `, ${one}`).join("")}</p>${stageTable(genes)}`;
  }

  let picked = null;
  function show(mark, place, x, y) {
    if (picked) picked.classList.remove("picked");
    picked = mark;
    mark.classList.add("picked");
    tip.innerHTML = describe(place);
    tip.hidden = false;
    const page = document.documentElement;
    const left = Math.min(x + 14, page.clientWidth - tip.offsetWidth - 8);
    const above = y - tip.offsetHeight - 14;
    tip.style.left = `${window.scrollX + Math.max(8, left)}px`;
    tip.style.top = `${window.scrollY + (above > 8 ? above : y + 14)}px`;
  }
  function hide() {
    if (picked) picked.classList.remove("picked");
    picked = null;
    tip.hidden = true;
  }

  document.querySelectorAll("[data-points]").forEach((plot) => {
    const figure = plot.closest("figure").id.replace("figure-", "");
    const marks = [];
    for (const [group, places] of Object.entries(JSON.parse(plot.dataset.points))) {
      const own = plot.querySelectorAll(`[id="${figure}-${group}"] use`);
      own.forEach((mark, index) => { if (index < places.length) marks.push({ mark, place: places[index] }); });
    }
    const at = ({ mark }) => { const box = mark.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; };
    let boxes = null;
    const nearest = (event) => {
      boxes = boxes || marks.map((one) => { const [x, y] = at(one); return [x + window.scrollX + plot.scrollLeft, y + window.scrollY, one]; });
      let best = null, least = 24 * 24;
      for (const [x, y, one] of boxes) {
        const distance = (x - event.pageX - plot.scrollLeft) ** 2 + (y - event.pageY) ** 2;
        if (distance <= least) { least = distance; best = one; }  // at equal distance the last mark wins, which is drawn on top
      }
      return best;
    };
    const point = (event) => { const one = nearest(event); if (one) show(one.mark, one.place, ...at(one)); else hide(); };
    window.addEventListener("resize", () => { boxes = null; hide(); });
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
    plot.addEventListener("blur", hide);
    let order = null, here = -1;
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") { hide(); return; }
      if (!step || !marks.length) return;
      event.preventDefault();
      order = order || marks.map((one) => [at(one)[0], one]).sort((a, b) => a[0] - b[0]).map((one) => one[1]);
      here = Math.max(0, Math.min(order.length - 1, here + step));
      show(order[here].mark, order[here].place, ...at(order[here]));
    });
  });
})();
