/**
 * What the user can try.
 *
 * @param {object} place
 * @param {string} place.url of the service
 * @param {string} place.database its URL
 * @param {string} place.gateway
 * @param {boolean} place.isAway whether nothing answers where ingest should be
 */
export function welcome({ url, database, gateway, isAway }) {
  const isSqlite = database.startsWith('sqlite:');
  const away = `
Tidemark does not run yet. What is ordered until \`npm start\` arrives then.
`;
  const python = `
The same service in Python, over the same tables:

  python3 -m pip install --target data/python -r examples/order-service-python/requirements.txt
  PYTHONPATH=data/python DATABASE_URL=${database} python3 examples/order-service-python/main.py
`;
  return `
The order service listens on ${url}, with ${isSqlite ? 'SQLite' : 'PostgreSQL'}. Ctrl-C ends it.
${isAway ? away : ''}
Listen, in a second terminal:

  TOKEN=$(npm run --silent token -- --sub alice --scope "subscribe:orders.>")
  curl -N -H "Authorization: Bearer $TOKEN" "${gateway}/v1/sse?topics=orders.*"

Place an order and pay it, in a third one. With the same key, a request has no second effect:

  KEY=$(date +%s)
  ORDER=$(curl -s ${url}/orders -H "Idempotency-Key: $KEY" -H "Content-Type: application/json" \\
    -d '{"customer": "alice", "total": 4200}' | node -p 'JSON.parse(fs.readFileSync(0)).id')
  curl ${url}/orders/$ORDER/pay -X POST -H "Idempotency-Key: $KEY"

Stop \`npm start\`, order more, and start it again: what was ordered meanwhile arrives.
${isSqlite ? '' : python}`;
}
