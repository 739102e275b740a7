// A photo to try: dropped anywhere, pasted, chosen, or taken with the camera.

const TYPES = "image/png,image/jpeg,image/webp,image/bmp,image/gif";

const NO_CAMERA =
  "A browser lets a page use the camera only at localhost or over HTTPS, and this page is neither. Take the photo with the " +
  "device's own camera instead:";

// photoStage(app, took) → {node}; `took(blob, name)` is called with each picture file.
export const photoStage = (app, took) => {
  const { element } = app;
  const input = element("input", { type: "file", accept: TYPES, class: "hidden", "aria-label": "Photo" });
  const preview = element("img", { class: "preview", alt: "The photo", hidden: true });
  const text = element("p", null, element("b", null, "Drop a photo here"), ", paste one, or");
  const choose = element("button", { type: "button", onclick: () => input.click() }, "Choose a photo");
  input.addEventListener("change", () => {
    if (input.files[0]) took(input.files[0]);
    input.value = "";
  });
  const node = element("div", { class: "drop" }, preview, element("div", { class: "drop-words" }, text, choose), input);
  return {
    node,
    show: (source) => {
      preview.hidden = !source;
      if (source) preview.src = source;
      node.classList.toggle("has-photo", Boolean(source));
    },
  };
};

// Pictures that are dropped on the page or pasted into it, until the returned function is called.
export const receive = (main, took) => {
  const pictureOf = (transfer) => [...(transfer?.files ?? [])][0];
  const over = (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    main.classList.add("dropping");
  };
  const leave = () => main.classList.remove("dropping");
  const drop = (event) => {
    leave();
    const file = pictureOf(event.dataTransfer);
    if (!file) return;
    event.preventDefault();
    took(file);
  };
  const paste = (event) => {
    const file = pictureOf(event.clipboardData);
    if (!file) return;
    event.preventDefault();
    took(file);
  };
  const leftWindow = (event) => event.relatedTarget === null && leave();
  const all = [["dragover", over], ["dragleave", leftWindow], ["drop", drop], ["paste", paste]];
  all.forEach(([kind, handler]) => document.addEventListener(kind, handler));
  return () => {
    leave();
    all.forEach(([kind, handler]) => document.removeEventListener(kind, handler));
  };
};

const WHERE = "The picture stays on the way from this browser to the machine that runs Fitting Room.";

// The camera, or why there is none. `leave` turns it off; `where` says who gets the picture.
export const cameraStage = (app, took, where = WHERE) => {
  const { element } = app;
  const message = element("p", { class: "hint", role: "status" });
  const video = element("video", { class: "preview", playsinline: true, muted: true, hidden: true });
  let stream = null;
  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.hidden = true;
  };
  const snap = async () => {
    const canvas = element("canvas");
    const scale = Math.min(1, 1024 / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
    took(blob, { stay: true });
  };
  const begin = async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
    } catch (error) {
      const denied = error.name === "NotAllowedError";
      message.textContent = denied ? "The camera was not allowed. The browser's settings for this page change that." : "There is no camera that the browser can use.";
      return;
    }
    message.textContent = where;
    video.srcObject = stream;
    video.hidden = false;
    await video.play();
    button.textContent = "Take the picture";
  };
  const button = element("button", { type: "button", onclick: () => (stream ? snap() : begin()) }, "Turn the camera on");
  // Where a page may not have the camera, a phone's own camera app may still give it a photo.
  const input = element("input", { type: "file", accept: TYPES, capture: "environment", class: "hidden", "aria-label": "Photo from the camera" });
  input.addEventListener("change", () => input.files[0] && took(input.files[0]));
  const possible = Boolean(navigator.mediaDevices?.getUserMedia);
  const own = element("button", { type: "button", onclick: () => input.click() }, "Take or choose a photo");
  if (!possible) message.textContent = NO_CAMERA;
  const node = element("div", { class: "drop camera" }, video, possible ? button : null, message, possible ? null : own, input);
  return { node, leave: stop };
};
