// The way of a photo: chosen on the start view, sent, answered, shown. Owns what both views share
// (the file, the answers, the address bar) and nothing of how they look.
import * as api from "./api.js";
import { replace } from "./dom.js";
import { onLanguage } from "./language.js";
import { StartView } from "./start.js";
import { ResultView } from "./result.js";
import { troubleNote } from "./trouble.js";

const MOST_RESULTS = 8; // the server is asked for older ones

const idInPath = () => location.pathname.match(/^\/result\/([0-9a-f]{32})\/?$/)?.[1] ?? null;

export function startExamine(place) {
  const app = {
    place,
    model: null,
    results: new Map(), // id -> {answer, file}, what this page has seen last, oldest first
    view: null,

    show(view) {
      app.view?.leave();
      app.view = view;
      view.draw();
      scrollTo(0, 0);
    },
    toStart(file = null) {
      if (location.pathname !== "/") history.pushState({}, "", "/");
      app.show(new StartView(app, file));
    },
    toResult(answer, file) {
      app.results.delete(answer.id);
      app.results.set(answer.id, { answer, file });
      if (app.results.size > MOST_RESULTS) app.results.delete(app.results.keys().next().value);
      const address = `/result/${answer.id}/`;
      if (location.pathname !== address) history.pushState({}, "", address);
      app.show(new ResultView(app, answer, file));
      document.querySelector("#view h1")?.focus();
      app.learnModel();
    },
    // Names of classes come with the model's card; views draw without, and again with it.
    learnModel() {
      api.model().then(
        (model) => {
          app.model = model;
          app.view?.draw();
        },
        () => {},
      );
    },
  };

  const open = async () => {
    const id = idInPath();
    if (!id) return app.toStart();
    const seen = app.results.get(id);
    if (seen) return app.show(new ResultView(app, seen.answer, seen.file));
    try {
      app.toResult(await api.getJson(`/api/v1/results/${id}`), null);
    } catch (error) {
      // The server's own page already shows the result; only where it does not, say why.
      if (document.body.dataset.page !== "result" || error.status === 404)
        replace(place, troubleNote(error, { again: open }));
    }
  };

  addEventListener("popstate", open);
  onLanguage(() => {
    document.title = "dermlens";
    app.view?.draw();
  });
  document.addEventListener("themechange", () => app.view?.draw());
  app.learnModel();
  return open();
}
