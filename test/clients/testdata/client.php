<?php
// Asks STS who it is, once for every line of its input.
require_once 'AsyncAws/Core/autoload.php';
require_once 'Symfony/Component/HttpClient/autoload.php';

while (fgets(STDIN) !== false) {
    try {
        $sts = new AsyncAws\Core\Sts\StsClient(['endpoint' => getenv('AWS_ENDPOINT_URL_STS'), 'region' => getenv('AWS_REGION')]);
        $answer = ['arn' => $sts->getCallerIdentity()->getArn()];
    } catch (Throwable $e) {
        $answer = ['error' => get_class($e) . ': ' . $e->getMessage()];
    }
    echo json_encode($answer), "\n";
}
