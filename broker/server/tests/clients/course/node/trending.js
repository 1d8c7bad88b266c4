// Which topics are talked about most: the first three of each minute, by how often they were mentioned.
//
// trending.js BOOTSTRAP
//
// A minute is over when something of a later one comes. Its ranking is sent to a topic of its own,
// where it is read by whoever wants to show it. Prints what is read there.
'use strict'

const { consume, createTopics, main, read, send, withProducer } = require('./course')

const MINUTE = 60
const PLACES = 3

// Second, and what was mentioned.
const MENTIONS = [
  [1, 'rain'], [4, 'derby'], [7, 'rain'], [15, 'strike'], [22, 'derby'], [30, 'rain'], [41, 'opera'],
  [58, 'derby'], [59, 'strike'],
  [61, 'opera'], [70, 'derby'], [75, 'opera'], [80, 'opera'], [95, 'derby'], [110, 'rain'],
  [125, 'strike'], [130, 'strike'], [179, 'rain'],
  // Nobody has said anything for a minute; this ends the one before it.
  [240, 'derby'],
].map(([second, tag]) => ({ second, tag }))

// Those with the same count in the order of the alphabet, so that a ranking is always the same.
function ranking(counts) {
  return [...counts]
    .sort(([tag, count], [other, otherCount]) => otherCount - count || tag.localeCompare(other))
    .slice(0, PLACES)
}

main(async kafka => {
  await createTopics(kafka, 'mentions', 'trending')
  await send(kafka, 'mentions', MENTIONS, mention => mention.tag)
  await withProducer(kafka, async producer => {
    let minute = 0
    let counts = new Map()
    const job = { groupId: 'rankings', topic: 'mentions', count: MENTIONS.length }
    await consume(kafka, job, async ({ second, tag }) => {
      const now = Math.floor(second / MINUTE)
      if (minute < now) {
        const value = JSON.stringify({ minute, trending: ranking(counts) })
        await producer.send({ topic: 'trending', messages: [{ key: String(minute), value }] })
        minute = now
        counts = new Map()
      }
      counts.set(tag, (counts.get(tag) ?? 0) + 1)
    })
  })
  return read(kafka, 'website', 'trending')
})
