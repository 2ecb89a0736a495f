// node|bun ask.mjs fetch|keep|close (METHOD URL KEY FILE)...: a line for each case, the statuses of
// three requests on one agent. FILE is empty where there is no body.
import { readFileSync } from "node:fs";
import http from "node:http";

const [way, ...cases] = process.argv.slice(2);

async function fetched(method, url, headers, body) {
  const answer = await fetch(url, { method, headers, body });
  await answer.arrayBuffer();
  return answer.status;
}

function requested(agent, method, url, headers, body) {
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

while (cases.length) {
  const [method, url, key, file] = cases.splice(0, 4);
  const headers = { "X-API-Key": key, "Content-Type": "image/jpeg" };
  const body = file ? readFileSync(file) : undefined;
  const agent = new http.Agent({ keepAlive: way === "keep" });
  const statuses = [];
  for (let i = 0; i < 3; i++) {
    statuses.push(await (way === "fetch" ? fetched(method, url, headers, body) : requested(agent, method, url, headers, body)));
  }
  agent.destroy();
  console.log(statuses.join(" "));
}
