// @ts-check
// Maps side by side share a cursor: the words that one looks at are lit in all.
document.addEventListener("attention-map-move", (event) => {
  const from = /** @type {Element} */ (event.target);
  const { span } = /** @type {CustomEvent} */ (event).detail;
  for (const map of from.closest("[data-linked]")?.querySelectorAll("attention-map") ?? []) {
    if (map !== from) /** @type {any} */ (map).point(span);
  }
});
