// A member of a group, through kafkajs: ../python/member.py describes it. It knows neither static
// members nor cooperative assignors nor KIP-848, and assigns by turns.
'use strict'

const { Kafka, logLevel } = require('kafkajs')

function tell(event, more) {
  const at = Math.round(1000 * (performance.timeOrigin + performance.now()))
  console.log(JSON.stringify({ event, at, ...more }))
}

// Tells what the client has told about the group.
function follow(consumer, topic) {
  let owned = []
  let generation = -1
  const revoke = () => {
    tell('revoked', { partitions: owned })
    owned = []
  }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    owned = payload.memberAssignment[topic] ?? []
    tell('assigned', { partitions: owned })
  })
  consumer.on(consumer.events.REBALANCING, revoke)
  consumer.on(consumer.events.STOP, revoke)
  // The only event with a generation.
  consumer.on(consumer.events.HEARTBEAT, ({ payload }) => {
    if (payload.groupGenerationId !== generation) {
      generation = payload.groupGenerationId
      tell('heartbeat', { generation })
    }
  })
}

async function main(bootstrap, groupId, topic, instance, protocol, commit) {
  if (instance !== '-' || protocol !== 'range') {
    throw new Error('kafkajs cannot do that')
  }
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING })
  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: 6000,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 100,
  })
  follow(consumer, topic)
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: commit === 'auto',
    autoCommitInterval: 500,
    eachMessage: async ({ partition, message }) => {
      tell('record', { partition, offset: Number(message.offset) })
      if (commit === 'each') {
        const offset = String(Number(message.offset) + 1)
        try {
          await consumer.commitOffsets([{ topic, partition, offset }])
        } catch (error) {
          tell('commit_failed', { error: error.type ?? error.message })
          throw error
        }
      }
    },
  })
  await new Promise(resolve => process.once('SIGTERM', resolve))
  await consumer.disconnect()
  tell('closed', {})
}

main(...process.argv.slice(2))
