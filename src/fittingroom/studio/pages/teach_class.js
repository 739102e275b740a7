// A class that is taught: its name, its photos, and how more of them come: chosen, dropped, or recorded with the camera.

const TYPES = "image/png,image/jpeg,image/webp,image/bmp,image/gif";
const SHOWN = 24; // photos; the newest
const EVERY = 160; // ms between two frames of a recording
const AT_ONCE = 3; // uploads

// classCard(app, cam, base, one, {knows, changed, claim}) → {node, name(), count(), focus()}
//   `knows` are the classes of the run; `changed()` after the class is another; `claim(card)` makes the camera this card's, and its last holder lets go of it.
export const classCard = (app, cam, base, one, { knows, changed, claim }) => {
  const { element } = app;
  const owner = app.role === "owner";
  let { name, photos, count } = one;
  let recording = false;

  const address = (photo) => `${base}/photos/${photo}?name=${encodeURIComponent(name)}`;
  const images = element("div", { class: "images taught-photos" });
  const amount = element("span", { class: "pill" });
  const uploading = element("span", { class: "hint", role: "status" });
  const message = element("p", { class: "hint problem", role: "alert", hidden: true });
  const say = (error) => {
    message.hidden = !error;
    message.replaceChildren(error ? app.named(error.message) : "");
  };

  const draw = () => {
    const known = knows.includes(name);
    amount.textContent = `${count === 1 ? "1 photo" : `${app.number(count)} photos`}${known ? ", known" : ""}`;
    amount.title = known ? "The run knows this class already; it learns how your photos of it look." : "";
    const shown = photos.slice(0, SHOWN).map((photo) =>
      element(
        "button",
        { type: "button", class: "taught-photo", title: "Remove this photo", "aria-label": "Remove this photo", onclick: app.act(() => takeAway(photo)) },
        element("img", { src: address(photo), alt: "", width: 56, height: 56, loading: "lazy" }),
      ),
    );
    images.replaceChildren(...shown, count > shown.length && owner ? element("span", { class: "hint" }, `and ${app.number(count - shown.length)} more`) : "");
  };

  const takeAway = async (photo) => {
    await app.remove(address(photo));
    photos = photos.filter((other) => other !== photo);
    count = photos.length;
    draw();
    changed();
  };
  const put = async (blob) => {
    const { photo } = await app.post(`${base}/photos?name=${encodeURIComponent(name)}`, blob, { headers: { "content-type": blob.type || "application/octet-stream" } });
    photos = [photo, ...photos.filter((other) => other !== photo)];
    count = photos.length;
  };
  // A few at a time; what cannot be read is named, and the others are kept.
  const putAll = async (files) => {
    say(null);
    const waiting = [...files];
    let [done, wrong] = [0, null];
    const work = async () => {
      for (let file = waiting.shift(); file; file = waiting.shift()) {
        try {
          await put(file);
        } catch (error) {
          wrong = new Error(`${file.name}: ${error.message}`);
        }
        done += 1;
        uploading.textContent = done < files.length ? `${done} of ${files.length}` : "";
        draw();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    say(wrong);
    changed();
  };

  const input = element("input", { type: "file", accept: TYPES, multiple: true, class: "hidden", "aria-label": `Photos of ${name}` });
  input.addEventListener("change", app.act(async () => {
    const files = [...input.files];
    input.value = "";
    await putAll(files);
  }));

  const record = async () => {
    if (recording) return;
    recording = true;
    button.classList.add("recording");
    try {
      do {
        const began = performance.now();
        const frame = await cam.frame();
        if (frame) await put(frame);
        draw();
        await new Promise((resolve) => setTimeout(resolve, Math.max(EVERY - (performance.now() - began), 0)));
      } while (recording && held);
    } catch (error) {
      say(error);
    }
    recording = false;
    button.classList.remove("recording");
    changed();
  };
  let held = false;
  const let_go = () => (held = false);
  const stage = element("div", { class: "camera-stage", hidden: true });
  const button = element("button", { type: "button", class: "main" }, "Hold to record");
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture?.(event.pointerId);
    held = true;
    record();
  });
  for (const kind of ["pointerup", "pointercancel", "blur"]) button.addEventListener(kind, let_go);
  button.addEventListener("keydown", (event) => ["Enter", " "].includes(event.key) && (event.preventDefault(), record())); // one photo
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
  const release = () => {
    held = false;
    stage.hidden = true;
    use.textContent = "Camera";
  };
  const use = element("button", { type: "button", onclick: async () => {
    if (!stage.hidden) {
      cam.stop();
      return release();
    }
    say(null);
    claim({ release });
    try {
      await cam.start();
    } catch (error) {
      return say(error);
    }
    if (!cam.on()) return;
    stage.replaceChildren(cam.video, button);
    cam.video.play();
    stage.hidden = false;
    use.textContent = "Camera off";
  } }, "Camera");

  const title = element("input", { type: "text", class: "class-name", value: name, list: "known-classes", maxlength: 80, "aria-label": "Name of the class", disabled: !owner });
  title.addEventListener("change", async () => {
    const wanted = title.value;
    if (wanted === name) return;
    say(null);
    try {
      name = (await app.put(`${base}/classes/${encodeURIComponent(name)}`, { name: wanted })).name;
      draw();
      changed();
    } catch (error) {
      say(error);
    }
    title.value = name;
  });
  title.addEventListener("keydown", (event) => event.key === "Enter" && title.blur());
  const away = async () => {
    if (count && !confirm(`Remove ${name} and its ${count === 1 ? "photo" : `${count} photos`}?`)) return;
    await app.remove(`${base}/classes/${encodeURIComponent(name)}`);
    if (!stage.hidden) cam.stop();
    node.remove();
    count = 0;
    changed();
  };

  const node = element(
    "li",
    { class: "panel taught-class" },
    element("div", { class: "class-head" }, title, amount, owner ? element("button", { type: "button", class: "quiet", onclick: app.act(away) }, "Remove") : ""),
    images,
    owner ? element("div", { class: "buttons" }, use, element("button", { type: "button", onclick: () => input.click() }, "Choose photos"), uploading, input) : "",
    stage,
    message,
  );
  if (owner) {
    node.addEventListener("dragover", (event) => {
      if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
      event.preventDefault();
      node.classList.add("dropping");
    });
    node.addEventListener("dragleave", (event) => node.contains(event.relatedTarget) || node.classList.remove("dropping"));
    node.addEventListener("drop", app.act(async (event) => {
      node.classList.remove("dropping");
      const files = [...(event.dataTransfer?.files ?? [])];
      event.preventDefault();
      event.stopPropagation();
      await putAll(files);
    }));
  }
  draw();
  return { node, name: () => name, count: () => count, focus: () => title.select() };
};
