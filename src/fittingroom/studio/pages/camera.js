// One camera for a page: its picture moves to where it is wanted, and frames are taken from it as JPEGs.

const LARGEST = 640; // pixels of the longest edge of a frame
const QUALITY = 0.9;

const NO_CAMERA =
  "A browser lets a page use the camera only at localhost or over HTTPS, and this page is neither. Take photos with the device's own camera, and choose them here.";

export const possible = () => Boolean(navigator.mediaDevices?.getUserMedia);

// camera(app) → {video, on(), start(), stop(), frame()}; `start` throws an Error whose message says why there is none.
export const camera = (app) => {
  const video = app.element("video", { class: "live", playsinline: true, muted: true });
  const canvas = app.element("canvas");
  let stream = null;
  let turn = 0; // counts the stops, so that a camera that comes late is turned off again

  const stop = () => {
    turn += 1;
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    video.remove();
  };
  const start = async () => {
    if (stream) return;
    if (!possible()) throw new Error(NO_CAMERA);
    const own = turn;
    let found;
    try {
      found = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
    } catch (error) {
      const denied = error.name === "NotAllowedError";
      throw new Error(denied ? "The camera was not allowed. The browser's settings for this page change that." : "There is no camera that the browser can use.");
    }
    if (own !== turn) return found.getTracks().forEach((track) => track.stop());
    stream = found;
    video.srcObject = stream;
    await video.play();
  };
  // A square from the middle, as the page shows it.
  const frame = async () => {
    const edge = Math.min(video.videoWidth, video.videoHeight);
    if (!stream || !edge) return null;
    canvas.width = canvas.height = Math.min(edge, LARGEST);
    const place = [(video.videoWidth - edge) / 2, (video.videoHeight - edge) / 2, edge, edge];
    canvas.getContext("2d").drawImage(video, ...place, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  };
  return { video, on: () => stream !== null, start, stop, frame };
};
