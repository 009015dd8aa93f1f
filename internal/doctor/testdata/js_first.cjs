// Says where the AWS SDK for JavaScript would take its credentials in each environment read from stdin.
// Nothing is fetched: a request notes where it was about to go, and no socket connects.
const http = require("node:http"), https = require("node:https"), net = require("node:net");

net.Socket.prototype.connect = () => { throw new Error("this script contacts nobody"); };
let went = "";
const note = (scheme) => (options) => {
  const host = options.hostname || options.host;
  went = went || scheme + "://" + host + (options.port ? ":" + options.port : "") + options.path;
  throw Object.assign(new Error("noted"), { tryNextLink: false });
};
http.request = note("http");
https.request = note("https");

const { defaultProvider } = require("@aws-sdk/credential-provider-node");

async function first() {
  let got;
  try {
    got = await defaultProvider({ maxRetries: 0 })();
  } catch (e) {
    if (!went) return "broken:" + e.name + ": " + e.message;
  }
  if (got) {
    if (got.accessKeyId === "PROCESS") return "profile:process";
    return got.$source && got.$source.CREDENTIALS_ENV_VARS ? "keys" : "profile:keys";
  }
  if (went.startsWith("https://sts.")) return "sts";
  return went.includes("/latest/") ? "imds " + went.slice(0, went.indexOf("/latest/")) : "container " + went;
}

(async () => {
  const answers = {};
  for (const one of JSON.parse(require("node:fs").readFileSync(0, "utf8"))) {
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, one.env);
    went = "";
    answers[one.name] = await first();
  }
  console.log(JSON.stringify(answers));
})();
