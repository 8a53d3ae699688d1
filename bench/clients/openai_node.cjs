// openai_node.cjs BASE COUNT [OUT]: the openai package for Node.

const fs = require("node:fs");
const path = require("node:path");
const OpenAI = require("openai");

async function main(base, count, out) {
    const client = new OpenAI({ baseURL: base, apiKey: "sk-bench", maxRetries: 0 });
    let images = [];
    for (let i = 0; i < Number(count); i++) {
        const response = await client.images.generate({ prompt: "x", n: 4, model: "bench" });
        images = response.data.map((item) => Buffer.from(item.b64_json, "base64"));
    }
    if (out) {
        images.forEach((image, i) => fs.writeFileSync(path.join(out, String(i + 1)), image));
    }
}

main(...process.argv.slice(2));
