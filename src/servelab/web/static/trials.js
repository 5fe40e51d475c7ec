// The table of trials, which fetches the rows it shows; and what hovering a point of a chart says. Text only, no HTML.
(() => {
  const filters = {}; // grid -> what is asked for
  const early = {}; // address -> an answer that was asked for before the table was there
  const ask = (address) => {
    const found = early[address] ?? fetch(address);
    delete early[address];
    return found;
  };
  const piece = (tag, text, classes) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (classes) made.className = classes;
    return made;
  };
  const both = (...pieces) => {
    const made = document.createElement("span");
    made.append(...pieces);
    return made;
  };
  const number = (value) => (typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value));

  window.servelab = {
    source: (name, url) => ({
      async getRows(params) {
        const [sort] = params.sortModel;
        const query = new URLSearchParams({ offset: params.startRow, limit: params.endRow - params.startRow });
        if (sort) query.set("sort", sort.colId), query.set("order", sort.sort);
        for (const [key, value] of Object.entries(filters[name] ?? {})) if (value) query.set(key, value);
        try {
          const answer = await ask(`${url}?${query}`);
          if (!answer.ok) throw new Error(answer.status);
          const page = await answer.json();
          params.successCallback(page.trials, page.total);
        } catch {
          params.failCallback();
        }
      },
    }),
    // Asks for the first rows while the page is still loading what draws them.
    ahead(address) {
      early[address] = fetch(address);
      early[address].catch(() => delete early[address]);
    },
    filter(name, id, wanted) {
      filters[name] = wanted;
      getElement(id)?.api?.purgeInfiniteCache();
    },
    // Rows that have changed are replaced in place. New ones are the last; a table in another order, or with a filter,
    // is read again.
    changed(name, id, lines, total) {
      const api = getElement(id)?.api;
      if (!api) return;
      const plain = !Object.values(filters[name] ?? {}).some(Boolean);
      const sorted = api.getColumnState().find((column) => column.sort);
      const grows = plain && (!sorted || (sorted.colId === "number" && sorted.sort === "asc"));
      if (!grows) servelab.later(api);
      else if (api.getDisplayedRowCount() !== total) api.setRowCount(total, true);
      for (const line of lines) {
        const node = api.getRowNode(String(line.number));
        if (node) node.setData(line);
        else if (plain && !sorted) api.getDisplayedRowAtIndex(line.number)?.setDataAndId?.(line, String(line.number));
      }
    },
    // At once, but not all the time.
    later(api) {
      if (api.servelabWaits) return;
      const rest = Math.max(0, (api.servelabRead ?? 0) + 5000 - Date.now());
      api.servelabWaits = setTimeout(() => {
        api.servelabWaits = undefined;
        api.servelabRead = Date.now();
        if (!api.isDestroyed()) api.refreshInfiniteCache();
      }, rest);
    },
    trial(params) {
      if (!params.data) return piece("span", "…", "muted");
      const link = piece("a", String(params.data.number));
      link.href = `${params.context.study}/trials/${params.data.number}`;
      link.setAttribute("aria-label", `Trial ${params.data.number}`);
      return params.data.title ? both(link, " ", piece("span", params.data.title, "muted small")) : link;
    },
    state(params) {
      if (!params.data) return "";
      return piece("span", params.data.state, `state ${params.context.tones[params.data.state] ?? ""}`);
    },
    value(params) {
      return params.value === undefined || params.value === null ? "" : number(params.value);
    },
    reading(params) {
      const found = params.value;
      if (!found) return params.data ? piece("span", "-", "muted") : "";
      if (!found.interval) return piece("span", found.text);
      return both(found.text, " ", piece("span", `(${found.interval})`, "muted small"));
    },
    note(params) {
      if (!params.data) return "";
      const { note, remedy, state } = params.data;
      if (!note) return "";
      const said = piece("span", note, state === "failed" ? "bad" : "");
      return remedy ? both(said, " ", piece("span", remedy, "muted")) : said;
    },
    hover(point) {
      if (point.data?.told) return point.data.told;
      const row = point.value;
      return Array.isArray(row) && row.length > 3 ? `trial ${row[2]}\n${row[3]}` : `${point.seriesName}\n${point.value?.join?.(": ") ?? ""}`.trim();
    },
    whisker(params, api) {
      const [x1, y] = api.coord([api.value(0), api.value(2)]);
      const [x2] = api.coord([api.value(1), api.value(2)]);
      return { type: "line", shape: { x1, y1: y, x2, y2: y }, style: { stroke: api.visual("color"), lineWidth: 1.4 } };
    },
  };
})();
