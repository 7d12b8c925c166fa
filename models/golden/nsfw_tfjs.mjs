// Prints what TF.js says about the golden patterns: the origin of golden/nsfw-*.json.
// Usage, in a folder where @tensorflow/tfjs-{core,layers,converter,backend-cpu} 4.22.0 are installed and
// nsfwjs-4.3.0.tgz is unpacked:
//   node nsfw_tfjs.mjs package/dist/models/mobilenet_v2 224 features > mobilenet_v2.json
//   node nsfw_tfjs.mjs package/dist/models/mobilenet_v2_mid 224 > mobilenet_v2_mid.json
//   node nsfw_tfjs.mjs package/dist/models/inception_v3 299 > inception_v3.json
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";

const require = createRequire(path.join(process.cwd(), "index.js"));
const tf = require("@tensorflow/tfjs-core");
require("@tensorflow/tfjs-backend-cpu");
const { loadLayersModel, model: functionalModel } = require("@tensorflow/tfjs-layers");
const { loadGraphModel } = require("@tensorflow/tfjs-converter");

const PATTERNS = [0, 1];

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

function readWeights(folder) {
  const number = (name) => Number(/shard(\d+)of/.exec(name)[1]);
  const shards = fs.readdirSync(folder).filter((name) => name.includes("shard"));
  shards.sort((a, b) => number(a) - number(b));
  return Buffer.concat(shards.map((name) => Buffer.from(require(path.join(folder, name)), "base64")));
}

async function load(folder, withFeatures) {
  const module = require(path.join(folder, "model.min.js"));
  const weights = readWeights(folder);
  const source = tf.io.fromMemory({
    modelTopology: module.modelTopology,
    weightSpecs: module.weightsManifest.flatMap((group) => group.weights),
    weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length),
  });
  if (module.format === "graph-model") return loadGraphModel(source);
  const whole = await loadLayersModel(source);
  if (!withFeatures) return whole;
  const outputs = [whole.outputs[0], whole.getLayer("flatten_1").output];
  return functionalModel({ inputs: whole.inputs, outputs });
}

const [folder, side, features] = process.argv.slice(2);
const size = Number(side);
await tf.setBackend("cpu");
const model = await load(path.resolve(folder), features === "features");
const results = PATTERNS.map((number) => {
  const input = tf.tensor4d(pattern(number, size * size * 3), [1, size, size, 3]);
  const outputs = [model.predict(input)].flat();
  return { pattern: number, outputs: outputs.map((out) => Array.from(out.dataSync())) };
});
process.stdout.write(JSON.stringify(results));
