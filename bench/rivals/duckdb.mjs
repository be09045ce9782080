// The limit: a columnar database, vectorised and on all cores.
import { DuckDBInstance } from '@duckdb/node-api'

const connection = await (await DuckDBInstance.create()).connect()
const result = await connection.runAndReadAll(
  `SELECT user_id, count(*)::INTEGER AS n, arg_max(action, timestamp || action) AS last
   FROM read_json('${process.argv[2]}', format = 'newline_delimited', columns = {user_id: 'VARCHAR', action: 'VARCHAR', timestamp: 'VARCHAR'})
   WHERE user_id <> '' AND action <> '' GROUP BY user_id`,
)
for (const [id, n, last] of result.getRows())
  process.stdout.write(`{"user_id":"${id}","click_count":${n},"last_action":"${last}"}\n`)
