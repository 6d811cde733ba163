// ── navigation: the section that is read is marked ─────────────────────────────────────────────────────────────

const links = new Map([...document.querySelectorAll("nav a[href^='#']")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
const sections = [...document.querySelectorAll("main section[id]")];
function mark() {
  const read = sections.findLast((section) => section.getBoundingClientRect().top < innerHeight / 3);
  for (const [id, link] of links) {
    if (id === read?.id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
addEventListener("scroll", mark, { passive: true });
mark();
