// The lines of a converted guide: pointing at one, or moving to it with the arrow keys, lights up where it is from.
(() => {
  const near = (element) => element instanceof Element ? element.closest(".made-line[data-from]") : null;
  const light = (line) => {
    const page = line.closest(".guide-result");
    for (const one of page.querySelectorAll(".lit")) one.classList.remove("lit");
    line.classList.add("lit");
    let first = null;
    for (const part of line.dataset.from.split(" ")) {
      const [file, from, to] = part.split(":").map(Number);
      for (let number = from; number <= to; number += 1) {
        const source = page.querySelector(`[data-at="${file}:${number}"]`);
        if (!source) continue;
        source.classList.add("lit");
        first = first ?? source;
      }
    }
    const pane = first?.closest(".code-lines");
    if (pane) pane.scrollTop += first.getBoundingClientRect().top - pane.getBoundingClientRect().top - pane.clientHeight / 3;
    const said = page.querySelector(".guide-said");
    if (said) said.textContent = line.title;
  };
  document.addEventListener("mouseover", (event) => { const line = near(event.target); if (line) light(line); });
  document.addEventListener("focusin", (event) => { const line = near(event.target); if (line) light(line); });
  document.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const line = step ? near(event.target) : null;
    if (!line) return;
    event.preventDefault();
    const all = [...line.closest(".code-lines").querySelectorAll(".made-line[data-from]")];
    const next = all[all.indexOf(line) + step];
    if (!next) return;
    line.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
})();
