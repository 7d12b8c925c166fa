// Prints what TF.js says about the golden patterns: the origin of golden/nsfw-mobilenet-v2.json.
// Usage, in a folder where @tensorflow/tfjs-{core,layers,backend-cpu} 4.22.0 are installed and
// nsfwjs-4.3.0.tgz is unpacked:  node nsfw_tfjs.mjs package/dist/models/mobilenet_v2 > raw.json
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.cwd(), "index.js"));
const tf = require("@tensorflow/tfjs-core");
require("@tensorflow/tfjs-backend-cpu");
const { loadLayersModel, model: functionalModel } = require("@tensorflow/tfjs-layers");

const PATTERNS = [0, 1];
const SIZE = 224;

// The same integers as inyeon_models/golden.py: even numbers noise, odd ones stripes.
function pattern(number, count) {
  const values = new Float32Array(count);
  const period = 97 * (number + 2);
  for (let index = 0; index < count; index += 1) {
    if (number % 2 === 0) {
      const mixed = (BigInt(index + number + 1) * 2654435761n) % 4294967296n;
      values[index] = Number(mixed >> 8n) / 16777216;
    } else {
      values[index] = (index % period) / period;
    }
  }
  return values;
}

const folder = path.resolve(process.argv[2]);
const { modelTopology, weightsManifest } = require(path.join(folder, "model.min.js"));
const weights = Buffer.from(require(path.join(folder, "group1-shard1of1.min.js")), "base64");
await tf.setBackend("cpu");
const whole = await loadLayersModel(
  tf.io.fromMemory({
    modelTopology,
    weightSpecs: weightsManifest.flatMap((group) => group.weights),
    weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length),
  }),
);
const both = functionalModel({
  inputs: whole.inputs,
  outputs: [whole.outputs[0], whole.getLayer("flatten_1").output],
});
const results = PATTERNS.map((number) => {
  const input = tf.tensor4d(pattern(number, SIZE * SIZE * 3), [1, SIZE, SIZE, 3]);
  return { pattern: number, outputs: both.predict(input).map((out) => Array.from(out.dataSync())) };
});
process.stdout.write(JSON.stringify(results));
