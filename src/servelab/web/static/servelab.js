// Times are told in the browser's zone, with UTC on hover; and the theme is remembered in a cookie.
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
  };
  new MutationObserver(() => tell(document)).observe(document, { childList: true, subtree: true });
  const cookie = document.cookie.match(/servelab-theme=(light|dark)/);
  if (!cookie && window.matchMedia("(prefers-color-scheme: dark)").matches) {
    document.cookie = "servelab-theme=dark; path=/; max-age=31536000; samesite=strict";
    location.reload();
  }
})();
