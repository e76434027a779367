"use strict";
(() => {
  const all = (selector, root) => [...(root || document).querySelectorAll(selector)];

  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // The composite: a weighted mean, none where something that weighs is missing, as in composite.py.
  const sliders = all("[data-weight]");
  const score = () => {
    const weights = sliders.map((slider) => Number(slider.value));
    sliders.forEach((slider) => { slider.nextElementSibling.value = slider.value; });
    all("[data-points]").forEach((row) => {
      let sum = 0;
      let total = 0;
      let missing = false;
      JSON.parse(row.dataset.points).forEach((points, at) => {
        if (weights[at] <= 0) { return; }
        missing = missing || points === null;
        sum += weights[at] * points;
        total += weights[at];
      });
      const known = total > 0 && !missing;
      row.querySelector("output").value = known ? String(Math.round(sum / total)) : "-";
      row.querySelector("meter").value = known ? sum / total : 0;
    });
  };
  sliders.forEach((slider) => slider.addEventListener("input", score));
  const reset = document.getElementById("reset");
  if (reset) {
    reset.addEventListener("click", () => {
      sliders.forEach((slider) => { slider.value = slider.defaultValue; });
      score();
    });
  }

  // A playhead runs through the drawings of a case; a click there moves the sound.
  all(".case").forEach((article) => {
    const audio = article.querySelector("audio");
    if (!audio) { return; }
    article.classList.add("playable");
    const begin = Number(audio.dataset.begin);
    const heads = all(".playhead", article);
    const show = () => {
      heads.forEach((head) => {
        const { start, end, length } = head.dataset;
        const share = Math.min(1, (begin + audio.currentTime) / Number(length));
        const x = Number(start) + share * (Number(end) - Number(start));
        head.setAttribute("x1", x);
        head.setAttribute("x2", x);
      });
      if (!audio.paused) { requestAnimationFrame(show); }
    };
    audio.addEventListener("play", () => {
      all("audio").forEach((other) => { if (other !== audio) { other.pause(); } });
      article.classList.add("playing");
      show();
    });
    audio.addEventListener("timeupdate", show);
    audio.addEventListener("seeked", show);
    all(".timeline", article).forEach((drawing) => {
      drawing.addEventListener("click", (event) => {
        const { start, end, length } = drawing.querySelector(".playhead").dataset;
        const area = drawing.getBoundingClientRect();
        const x = (event.clientX - area.left) * (drawing.viewBox.baseVal.width / area.width);
        const share = (x - Number(start)) / (Number(end) - Number(start));
        audio.currentTime = Math.max(0, share * Number(length) - begin);
        article.classList.add("playing");
        audio.play();
      });
    });
  });

  const filter = document.getElementById("filter");
  const rows = all("#all-trials tbody tr");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    });
  });

  all(".sortable").forEach((table) => {
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const value = (row) => {
          const cell = row.cells[column];
          if (!cell.classList.contains("num")) { return cell.textContent; }
          return cell.dataset.sort === undefined ? -Infinity : Number(cell.dataset.sort);
        };
        const body = table.tBodies[0];
        [...body.rows]
          .sort((a, b) => {
            const [x, y] = [value(a), value(b)];
            return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
          })
          .forEach((row) => body.append(row));
      });
    });
  });
})();
