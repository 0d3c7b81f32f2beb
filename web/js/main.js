// Starts the page that the server sent: its switches, then the view that its <body> names. Pages
// without a view of their own (login, history) stay as the server made them.
import { h, icon } from "./dom.js";
import { language, onLanguage, setLanguage, t } from "./language.js";
import { startExamine } from "./examine.js";
import { startSystem } from "./system.js";
import { errorView } from "./trouble.js";

const page = document.body.dataset.page;
const live = ["start", "result", "system", "error"].includes(page);

function languageSwitch(place) {
  const link = place.querySelector("a");
  const refresh = () => {
    const other = language() === "vi" ? "en" : "vi";
    link.textContent = t("switch.language");
    link.lang = other;
    link.hreflang = other;
    link.href = `?lang=${other}`;
  };
  link.id = "language";
  refresh();
  if (!live) return;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    setLanguage(link.lang);
  });
  onLanguage(refresh);
}

function themeSwitch(place) {
  const sheet = document.getElementById("dark-theme");
  const button = h("button", { class: "button quiet", id: "theme", type: "button" });
  const refresh = () => {
    const dark = matchMedia(sheet.media).matches;
    button.replaceChildren(
      icon(dark ? "light" : "dark"),
      h("span", { class: "unseen" }, t("switch.theme")),
    );
  };
  button.addEventListener("click", () => {
    const theme = matchMedia(sheet.media).matches ? "light" : "dark";
    sheet.media = theme === "dark" ? "screen" : "not all";
    try {
      localStorage.setItem("dermlens.theme", theme);
    } catch {
      // Holds until the page is left.
    }
    refresh();
    document.dispatchEvent(new Event("themechange"));
  });
  refresh();
  place.append(button);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
  onLanguage(refresh);
}

function translateFrame() {
  for (const element of document.querySelectorAll("[data-t]"))
    element.textContent = t(element.dataset.t);
  document.querySelector(".skip").textContent = t("skip");
}

const switches = document.getElementById("switches");
languageSwitch(switches);
themeSwitch(switches);
onLanguage(translateFrame);

const view = document.getElementById("view");
if (page === "start" || page === "result") startExamine(view);
if (page === "system") startSystem(view);
if (page === "error") errorView(view);
