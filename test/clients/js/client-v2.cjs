// Asks STS who it is with version 2 of the SDK, once for every line of its input.
process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";
const AWS = require("aws-sdk");
const sts = new AWS.STS({ endpoint: process.env.AWS_ENDPOINT_URL_STS });

(async () => {
  for await (const _ of require("readline").createInterface({ input: process.stdin })) {
    let answer;
    try {
      answer = { arn: (await sts.getCallerIdentity({}).promise()).Arn };
    } catch (e) {
      answer = { error: require("util").inspect(e) };
    }
    console.log(JSON.stringify(answer));
  }
})();
