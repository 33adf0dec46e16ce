// Uploads a file with tus-js-client: node upload.mjs ENDPOINT FILE NAME CHUNK_BYTES; the token is in TUS_TOKEN.
// Prints one line of JSON for each finished request and one at the end.
import fs from "node:fs";
import { Upload } from "tus-js-client";

const [endpoint, file, filename, chunk] = process.argv.slice(2);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const upload = new Upload(fs.createReadStream(file), {
  endpoint,
  chunkSize: Number(chunk),
  uploadSize: fs.statSync(file).size,
  uploadDataDuringCreation: process.env.TUS_AT_ONCE === "1",
  headers: { Authorization: `Bearer ${process.env.TUS_TOKEN}` },
  metadata: { filename },
  retryDelays: [0, 100, 200, 400, 800, 1600, 3200, 3200, 3200],
  onAfterResponse: (request, response) => {
    say({
      method: request.getMethod(),
      status: response.getStatus(),
      photo: response.getHeader("Pixlsrve-Photo-Id") ?? null,
      duplicate: response.getHeader("Pixlsrve-Duplicate") ?? null,
    });
  },
  onError: (error) => {
    say({ error: String(error) });
    process.exitCode = 1;
  },
  onSuccess: () => say({ url: upload.url }),
});
upload.start();
