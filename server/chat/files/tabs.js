/** Make a tab list work with mouse and keyboard, as the WAI-ARIA practices describe. */
export function makeTabs(list) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  function select(chosen) {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
  }
  list.addEventListener("click", ({ target }) => tabs.includes(target) && select(target));
  list.addEventListener("keydown", (event) => {
    const here = tabs.indexOf(event.target);
    const there = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: -1 }[event.key];
    if (there === undefined || here < 0) return;
    const next = tabs.at(there % tabs.length);
    event.preventDefault();
    select(next);
    next.focus();
  });
}
