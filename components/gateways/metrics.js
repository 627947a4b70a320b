// Counts and times requests under the names that applications use, and serves the metrics of NGINX.

const COUNT = 'http_requests_total';
const SECONDS = 'http_request_duration_seconds';
// Those of Prometheus' client library for Python, which the applications use.
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

// NGINX evaluates the variable when it logs a request. It adds nothing to the line.
function count(r) {
    const metrics = ngx.shared.metrics;
    const status = r.variables.status;
    const seconds = Number(r.variables.request_time);
    const route = `route="${r.variables.route}"`;
    metrics.incr(`${COUNT}{${route},status="${status}"}`, 1, 0);
    // A WebSocket lasts as long as its client wants.
    if (status !== '101') {
        BOUNDS.filter((bound) => seconds <= bound).concat('+Inf').forEach((bound) => {
            metrics.incr(`${SECONDS}_bucket{${route},le="${bound}"}`, 1, 0);
        });
        metrics.incr(`${SECONDS}_count{${route}}`, 1, 0);
        metrics.incr(`${SECONDS}_sum{${route}}`, seconds, 0);
    }
    return '';
}

async function show(r) {
    const status = await r.subrequest('/status');
    const numbers = status.responseText.match(/\d+/g);
    const requests = ngx.shared.metrics.items().map((item) => `${item[0]} ${item[1]}`).sort();
    const lines = [].concat(
        '# TYPE nginx_connections_active gauge',
        `nginx_connections_active ${numbers[0]}`,
        '# TYPE nginx_connections_accepted counter',
        `nginx_connections_accepted ${numbers[1]}`,
        '# TYPE nginx_connections_handled counter',
        `nginx_connections_handled ${numbers[2]}`,
        `# TYPE ${COUNT} counter`,
        requests.filter((line) => line.startsWith(COUNT)),
        `# TYPE ${SECONDS} histogram`,
        requests.filter((line) => line.startsWith(SECONDS)),
    );
    r.headersOut['Content-Type'] = 'text/plain; version=0.0.4';
    r.return(200, `${lines.join('\n')}\n`);
}

export default { count, show };
