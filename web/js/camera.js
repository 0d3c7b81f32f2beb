// The camera in a dialog: a frame to fill, front or back, one shot as a JPEG file.
import { h, icon } from "./dom.js";
import { t } from "./language.js";

// Browsers give the camera to secure contexts only; elsewhere the file input's own camera has to do.
export const cameraHere = () =>
  Boolean(globalThis.isSecureContext && navigator.mediaDevices?.getUserMedia);

const reason = (error) =>
  ({
    NotAllowedError: "camera.denied",
    SecurityError: "camera.denied",
    NotFoundError: "camera.missing",
    OverconstrainedError: "camera.missing",
  })[error.name] ?? "camera.busy";

async function stream(facing) {
  const wish = { facingMode: { ideal: facing }, width: { ideal: 1920 }, height: { ideal: 1440 } };
  return navigator.mediaDevices.getUserMedia({ video: wish, audio: false });
}

function shoot(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((resolve) =>
    canvas.toBlob(
      (blob) => resolve(new File([blob], "camera.jpg", { type: "image/jpeg" })),
      "image/jpeg",
      0.92,
    ),
  );
}

// Resolves with the File taken, or null when the dialog was closed.
export function takePhoto() {
  const video = h("video", { autoplay: true, playsinline: true, muted: true });
  video.muted = true;
  const hint = h("p", { role: "status" }, t("camera.starting"));
  const frame = h("div", { class: "frame", "aria-hidden": "true" });
  const finder = h("div", { class: "finder" }, video, frame, hint);
  const button = (name, symbol, properties) =>
    h(
      "button",
      { type: "button", class: "button", id: `camera-${name}`, ...properties },
      icon(symbol),
      t(`camera.${name}`),
    );
  const close = button("close", "close", {});
  const shutter = h("button", {
    type: "button",
    class: "shutter",
    id: "shutter",
    "aria-label": t("camera.take"),
    disabled: true,
  });
  const flip = button("flip", "flip", { hidden: true });
  const dialog = h(
    "dialog",
    { class: "camera", "aria-label": t("camera.title") },
    finder,
    h("div", { class: "shutters" }, close, shutter, flip),
  );
  document.body.append(dialog);

  let facing = "environment";
  let current = null;
  const stop = () => current?.getTracks().forEach((track) => track.stop());

  // One at a time: `flip` waits until it is over, or a second stream would never be stopped.
  const start = async () => {
    stop();
    shutter.disabled = true;
    flip.disabled = true;
    try {
      current = await stream(facing);
      if (!dialog.open) return stop();
      video.srcObject = current;
      await video.play();
      finder.classList.toggle(
        "mirrored",
        current.getVideoTracks()[0]?.getSettings().facingMode === "user",
      );
      hint.textContent = t("camera.hint");
      shutter.disabled = false;
      shutter.focus();
      const devices = await navigator.mediaDevices.enumerateDevices();
      flip.hidden = devices.filter((device) => device.kind === "videoinput").length < 2;
    } catch (error) {
      if (dialog.open) hint.textContent = t(reason(error));
    } finally {
      flip.disabled = false;
    }
  };

  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      stop();
      dialog.remove();
      resolve(null);
    });
    close.addEventListener("click", () => dialog.close());
    flip.addEventListener("click", () => {
      facing = facing === "environment" ? "user" : "environment";
      start();
    });
    shutter.addEventListener("click", async () => {
      shutter.disabled = true;
      resolve(await shoot(video));
      dialog.close();
    });
    dialog.showModal();
    start();
  });
}
