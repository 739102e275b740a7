// Which dataset is trained on: one that is known, one that was uploaded, a folder of this machine, or a ZIP from the page.

import { element, named, number } from "./dom.js";
import { post } from "./api.js";

const FOLDER = "\u0000folder"; // no dataset has such a name
const UPLOAD = "\u0000upload";

export const datasetChooser = (choices, changed, failed) => {
  const select = element("select", { id: "dataset" });
  const path = element("input", { type: "text", id: "folder", placeholder: "/home/me/pictures", autocomplete: "off", spellcheck: false, "aria-label": "Folder of class folders" });
  const file = element("input", { type: "file", accept: ".zip,application/zip", "aria-label": "ZIP of class folders" });
  const where = element("p", { class: "hint" });
  const problem = element("p", { class: "hint problem", hidden: true, role: "alert" });
  const extra = element("div", { class: "extra" });
  let uploaded = choices.uploaded;
  let chosen = null;

  const options = () => {
    const known = choices.datasets.map((one) => element("option", { value: one.name }, one.name));
    const own = uploaded.map((one) => element("option", { value: one.place }, one.name));
    const other = chosen && ![...known, ...own].some((one) => one.value === chosen) ? [element("option", { value: chosen }, chosen)] : [];
    const more = [element("option", { value: FOLDER }, "a folder of class folders…"), element("option", { value: UPLOAD }, "upload a ZIP…")];
    select.replaceChildren(...known, ...own, ...other, element("hr"), ...more);
  };
  const about = () => {
    const one = choices.datasets.find((entry) => entry.name === chosen);
    where.textContent = one ? `${one.title}: ${number(one.images)} images of ${one.classes} classes, ${one.shape.join("×")}${one.about && `. ${one.about}`}` : "Each folder in it is a class; its pictures are resized.";
  };
  const upload = async () => {
    const zip = file.files[0];
    if (!zip) return;
    where.textContent = `Uploading ${zip.name}, ${(zip.size / 1e6).toFixed(1)} MB …`;
    try {
      const found = await post(`/api/trainings/data?called=${encodeURIComponent(zip.name)}`, zip);
      uploaded = [...uploaded, found];
      extra.replaceChildren();
      changed(found.place);
      where.textContent = [`${found.name} is unpacked.`, ...found.notes].join(" ");
    } catch (error) {
      about();
      problem.hidden = false;
      problem.replaceChildren(named(error.message));
      if (!error.status) failed(error);
    }
  };
  select.addEventListener("change", () => {
    problem.hidden = true;
    extra.replaceChildren(...(select.value === FOLDER ? [path] : select.value === UPLOAD ? [file] : []));
    if (select.value === FOLDER) path.focus();
    else if (select.value !== UPLOAD) changed(select.value);
    else file.click();
  });
  path.addEventListener("change", () => path.value.trim() && changed(path.value.trim()));
  file.addEventListener("change", upload);
  const show = (dataset, wrong) => {
    if (dataset !== chosen) {
      chosen = dataset;
      options();
      select.value = dataset;
      about();
    }
    problem.hidden = !wrong;
    problem.replaceChildren(named(wrong ?? ""));
  };
  return { node: element("div", { class: "field" }, element("label", { for: "dataset" }, "data"), select, extra, where, problem), show };
};
