// What the examples in JavaScript share.
'use strict'

const { Kafka, Partitioners, logLevel } = require('kafkajs')

function kafkaAt(bootstrap) {
  return new Kafka({
    brokers: [bootstrap],
    logLevel: logLevel.ERROR,
    retry: { initialRetryTime: 50, maxRetryTime: 500 },
  })
}

async function createTopics(kafka, ...topics) {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: topics.map(topic => ({ topic, numPartitions: 1 })) })
  await admin.disconnect()
}

// Gives a producer to an action, and waits for its end.
async function withProducer(kafka, action) {
  const producer = kafka.producer({
    idempotent: true,
    createPartitioner: Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  try {
    return await action(producer)
  } finally {
    await producer.disconnect()
  }
}

// Sends events as JSON, each with the key that is chosen for it.
function send(kafka, topic, events, keyOf) {
  const messages = events.map(event => ({ key: keyOf(event), value: JSON.stringify(event) }))
  return withProducer(kafka, producer => producer.send({ topic, messages }))
}

// Handles the next `count` events of a topic one after the other, as a member of a group. `from` is the
// offset of the first; if it is not given, that is where the group has committed, or the beginning.
async function consume(kafka, { groupId, topic, count, from }, handle) {
  const consumer = kafka.consumer({
    groupId,
    // The shortest that brokers allow.
    sessionTimeout: 6000,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 100,
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  const done = new Promise((resolve, reject) => {
    let left = count
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    consumer
      .run({
        eachMessage: async ({ message }) => {
          // What has been fetched already may still come when there is enough.
          if (0 < left) {
            await handle(JSON.parse(message.value), Number(message.offset))
            left -= 1
          }
          if (left === 0) {
            resolve()
          }
        },
      })
      .catch(reject)
    if (from !== undefined) {
      consumer.seek({ topic, partition: 0, offset: String(from) })
    }
  })
  try {
    await done
  } finally {
    await consumer.disconnect()
  }
}

// Everything that is in a topic of one partition, through a group that has not read it before.
async function read(kafka, groupId, topic) {
  const admin = kafka.admin()
  await admin.connect()
  const [{ high }] = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const events = []
  await consume(kafka, { groupId, topic, count: Number(high) }, event => events.push(event))
  return events
}

// Runs an example, and prints its result.
async function main(example) {
  console.log(JSON.stringify(await example(kafkaAt(process.argv[2]))))
}

module.exports = { consume, createTopics, main, read, send, withProducer }
