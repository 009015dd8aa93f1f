# Asks STS who it is, once for every line of its input.
require 'aws-sdk-core'
require 'json'

STDIN.each_line do
  begin
    sts = Aws::STS::Client.new(endpoint: ENV['AWS_ENDPOINT_URL_STS'])
    answer = { arn: sts.get_caller_identity.arn }
  rescue StandardError => e
    answer = { error: "#{e.class}: #{e.message}" }
  end
  puts answer.to_json
end
