// Asks STS who it is, once for every line of its input, with one client.
const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");
const providers = require("@aws-sdk/credential-providers");

const provider = providers[process.argv[2]]; // none for "client-sts", which has its own chain
const sts = new STSClient(provider ? { credentials: provider() } : {});

(async () => {
  for await (const _ of require("readline").createInterface({ input: process.stdin })) {
    let answer;
    try {
      answer = { arn: (await sts.send(new GetCallerIdentityCommand({}))).Arn };
    } catch (e) {
      answer = { error: require("util").inspect(e) }; // as node prints it
    }
    console.log(JSON.stringify(answer));
  }
})();
