/** Make a tab list work with mouse and arrow keys, as the WAI-ARIA practices describe. */
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
  list.addEventListener("keydown", ({ key, target }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (step === undefined || !tabs.includes(target)) return;
    const next = tabs.at((tabs.indexOf(target) + step) % tabs.length);
    select(next);
    next.focus();
  });
}
