// Runs before the first paint, so that a remembered theme does not flash. A classic script: modules
// come too late. Storage may be forbidden; then the system's wish holds.
(() => {
  document.documentElement.classList.add("scripted");
  try {
    const theme = localStorage.getItem("dermlens.theme");
    const sheet = document.getElementById("dark-theme");
    if (theme === "dark") sheet.media = "screen";
    if (theme === "light") sheet.media = "not all";
  } catch {
    // Nothing remembered.
  }
})();
