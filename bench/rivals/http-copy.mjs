// A bare WebHDFS client: `read URL`, `write URL MB`; prints seconds. What any program must pay at least.
import { request } from 'node:http'

const [what, url, megabytes] = process.argv.slice(2)
const MB = 1 << 20

function located(method, address) {
  return new Promise((resolve, reject) => {
    request(address, { method }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve(JSON.parse(text).Location)
    })
      .on('error', reject)
      .end()
  })
}

const began = performance.now()
if (what === 'read') {
  const location = await located('GET', `${url}&op=OPEN&noredirect=true`)
  let bytes = 0
  await new Promise((resolve, reject) => {
    request(location, (response) => {
      response.on('data', (chunk) => {
        bytes += chunk.length
      })
      response.on('end', resolve)
    })
      .on('error', reject)
      .end()
  })
  console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000, bytes }))
} else {
  const location = await located('PUT', `${url}&op=CREATE&overwrite=true&noredirect=true`)
  const piece = Buffer.alloc(MB, 'x')
  await new Promise((resolve, reject) => {
    const upload = request(
      location,
      { method: 'PUT', headers: { 'content-type': 'application/octet-stream' } },
      (response) => {
        response.resume()
        response.on('end', resolve)
      },
    ).on('error', reject)
    let left = Number(megabytes)
    const send = () => {
      while (left > 0) {
        left--
        if (!upload.write(piece)) {
          upload.once('drain', send)
          return
        }
      }
      upload.end()
    }
    send()
  })
  console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000, bytes: Number(megabytes) * MB }))
}
