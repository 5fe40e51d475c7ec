// Times are told in the browser's zone, with UTC on hover; the theme is remembered in a cookie; text can be copied;
// the end of a log stays in view.
(() => {
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const tell = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([data-told])")) {
      const when = new Date(time.dateTime);
      if (Number.isNaN(when.getTime())) continue;
      time.dataset.told = "";
      time.title = when.toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC");
      time.textContent = local.format(when);
    }
    for (const bar of root.querySelectorAll(".q-loading-bar:not([aria-label])")) bar.setAttribute("aria-label", "Loading");
    for (const log of root.querySelectorAll("[data-tail]")) {
      if (!log.servelabUp) log.scrollTop = log.scrollHeight;
      log.servelabEnd = log.scrollHeight;
    }
  };
  // Whoever scrolls up reads; the end is followed again when it is scrolled to. Measured against the end that was seen.
  document.addEventListener(
    "scroll",
    ({ target: log }) => {
      if (log.dataset?.tail === undefined || log.servelabEnd === undefined) return;
      log.servelabUp = log.scrollTop + log.clientHeight < log.servelabEnd - 8;
    },
    true,
  );
  let waits = false; // a page changes in many steps: once for each picture is enough
  const soon = () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      tell(document);
    });
  };
  new MutationObserver(soon).observe(document, { childList: true, subtree: true, characterData: true });
  const cookie = document.cookie.match(/servelab-theme=(light|dark)/);
  if (!cookie && window.matchMedia("(prefers-color-scheme: dark)").matches) {
    document.cookie = "servelab-theme=dark; path=/; max-age=31536000; samesite=strict";
    location.reload();
  }
  // The clipboard is only for pages that came encrypted or from this machine; for the others there is the selection.
  const copy = async (from) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(from.textContent);
    getSelection().selectAllChildren(from);
    if (!document.execCommand("copy")) throw new Error("the browser does not let a page copy");
    getSelection().removeAllRanges();
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    const from = button && document.getElementById(button.dataset.copy);
    const label = button?.querySelector(".block, .q-btn__content > span:last-child");
    if (!from || !label) return;
    const was = label.textContent;
    label.textContent = await copy(from).then(() => "Copied", () => "Select it and press Ctrl+C");
    setTimeout(() => (label.textContent = was), 2000);
  });
})();
