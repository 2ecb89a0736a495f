// node|bun ask.mjs fetch|keep|close METHOD URL KEY [FILE]: the status, three times.
import { readFileSync } from "node:fs";
import http from "node:http";

const [way, method, url, key, file] = process.argv.slice(2);
const body = file && readFileSync(file);
const headers = { "X-API-Key": key, "Content-Type": "image/jpeg" };
const agent = new http.Agent({ keepAlive: way === "keep" });

function request() {
  return new Promise((resolve, reject) => {
    const length = body ? { "Content-Length": body.length } : {};
    const asked = http.request(url, { method, agent, headers: { ...headers, ...length } }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode));
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

for (let i = 0; i < 3; i++) {
  if (way === "fetch") {
    const answer = await fetch(url, { method, headers, body });
    await answer.arrayBuffer();
    console.log(answer.status);
  } else {
    console.log(await request());
  }
}
agent.destroy();
