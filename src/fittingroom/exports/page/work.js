// What answers in the page: the network, the conversion of drawings and photos, and the judgement, in a thread of its own
// where the browser allows that, so that a pen never waits for an answer.

import { unpacked } from "./archive.js";
import { network } from "./engine.js";
import { judging } from "./judgement.js";
import { photos } from "./photos.js";

// worker(archives) → functions by the name of what is asked; `archives` are the texts of the page.
export const worker = async ({ model, answers }) => {
  const { facts: known, arrays: weights } = await unpacked(model);
  const { facts, arrays } = await unpacked(answers);
  const net = network(known.graph, weights);
  const [pictures, judge] = [photos(facts, arrays), judging(facts, arrays)];
  const samples = weights.samples;
  const Images = known.graph.image_type === "uint8" ? Uint8Array : Float32Array;
  const length = known.graph.image_shape.reduce((product, side) => product * side, 1);
  const imagesOf = (data, at) => data.subarray(at * length, (at + 1) * length);

  const answered = ({ image, cutOut = false, notes = [], steps = [] }) => {
    const { log_probabilities: logs, features = null } = net(image);
    return { ...judge.answer({ logs, image, features, cutOut }), cut_out: cutOut, notes, steps, nearest: [] };
  };
  return {
    drawing: (body) => answered(pictures.drawn(body)),
    photo: async (blob) => answered(pictures.convert(await pictures.read(blob))),
    sample: ({ index }) => {
      const image = imagesOf(samples.data, index);
      const step = { name: "model", note: "a validation image, which goes in as it is", picture: pictures.shown(image) };
      return answered({ image, notes: [`In the dataset it is of the class ${known.sample_classes[index]}.`], steps: [step] });
    },
    // Pictures of the samples, to choose from.
    samples: () => Array.from({ length: samples?.shape[0] ?? 0 }, (_, index) => pictures.shown(imagesOf(samples.data, index))),
    // What `fittingroom export` asks of the page that it has written: the probabilities of images as they are stored.
    probabilities: ({ bytes }) => {
      const images = new Images(bytes);
      return Array.from({ length: images.length / length }, (_, at) => Array.from(net(imagesOf(images, at)).probabilities, (one) => (Number.isNaN(one) ? null : one)));
    },
    // The same as answers, with set, refusal and words.
    answers: ({ bytes }) => {
      const images = new Images(bytes);
      return Array.from({ length: images.length / length }, (_, at) => answered({ image: imagesOf(images, at) }));
    },
    // Milliseconds that one answer takes: what a person waits for while drawing.
    pace: ({ count }) => {
      const image = samples ? imagesOf(samples.data, 0) : new Images(length);
      const start = performance.now();
      for (let at = 0; at < count; at += 1) answered({ image });
      return (performance.now() - start) / count;
    },
  };
};
