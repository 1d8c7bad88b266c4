// What a client can do, through kafkajs: ../python/librdkafka.py describes the commands. It only
// sends: its consumers need groups.
'use strict'

const {
  CompressionCodecs,
  CompressionTypes,
  ConfigResourceTypes,
  Kafka,
  Partitioners,
  logLevel,
} = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4-napi')
const zstd = require('@bokuweb/zstd-wasm')

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}
const FIRST_TIME_MS = 1_700_000_000_000
const MESSAGE_BYTES_MAX = 1_500_000
const MIB = 1 << 20

const ROUND_ROBIN_COUNT = 40
const KEYS = 20
const OF_EACH_KEY = 10
const USERS = ['vip-1', 'user-1', 'vip-2', 'user-2', 'user-3', 'user-10', 'user-25']
const OF_EACH_USER = 5

// Of each partition and each time, of a load.
const TOGETHER = 20

CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: encoder => lz4.compressFrame(encoder.buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => {
    await zstd.init()
    return Buffer.from(zstd.compress(encoder.buffer))
  },
})

function kafkaAt(bootstrap) {
  return new Kafka({
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 10, maxRetryTime: 100, retries: 1000 },
  })
}

// Gives what an action gives, with a client that is connected as long as that.
async function withClient(client, action) {
  await client.connect()
  try {
    return await action(client)
  } finally {
    await client.disconnect()
  }
}

// Creating and deleting wait for nothing, so that errors are told at once.
function withAdmin(bootstrap, action) {
  return withClient(kafkaAt(bootstrap).admin({ retry: { retries: 0 } }), action)
}

function withProducer(bootstrap, options, action) {
  const producer = kafkaAt(bootstrap).producer({
    idempotent: true,
    createPartitioner: Partitioners.DefaultPartitioner,
    ...options,
  })
  return withClient(producer, action)
}

// The number of the error that an action ends with, 0 for none. It is wrapped where retries are given
// up, and where a request was for many.
async function codeOf(action) {
  try {
    await action()
    return 0
  } catch (failure) {
    for (const one of [failure, failure.cause, ...(failure.errors ?? [])]) {
      if (one?.code !== undefined) {
        return one.code
      }
    }
    throw failure
  }
}

async function create(admin, topic, numPartitions = 1, replicationFactor = 1, configs = {}) {
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
  const topics = [{ topic, numPartitions, replicationFactor, configEntries }]
  if (!(await admin.createTopics({ topics }))) {
    // All that the client tells of this error.
    throw Object.assign(new Error('the topic is there'), { code: 36 })
  }
}

function grow(admin, topic, count) {
  return admin.createPartitions({ topicPartitions: [{ topic, count }] })
}

async function partitionsOf(admin, topic) {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  return topics[0].partitions.map(partition => partition.partitionId).sort()
}

// The configs by name.
async function describe(admin, type, name) {
  const { resources } = await admin.describeConfigs({ resources: [{ type, name }] })
  return Object.fromEntries(resources[0].configEntries.map(entry => [entry.configName, entry]))
}

// Sends a record and gives its offset.
function send(bootstrap, topic, message) {
  return withProducer(bootstrap, {}, async producer => {
    const [{ baseOffset }] = await producer.send({ topic, messages: [message] })
    return Number(baseOffset)
  })
}

async function topics(bootstrap, prefix) {
  return withAdmin(bootstrap, async admin => {
    const name = `${prefix}-managed`
    const other = `${prefix}-x`
    const unknown = `${prefix}-unknown`
    await create(admin, name, 3, 1, { 'max.message.bytes': String(MESSAGE_BYTES_MAX) })
    const cluster = await admin.describeCluster()
    const partitions = await partitionsOf(admin, name)
    await grow(admin, name, 5)
    const grown = await partitionsOf(admin, name)
    const described = await describe(admin, ConfigResourceTypes.TOPIC, name)
    const ofBroker = await describe(admin, ConfigResourceTypes.BROKER, '1')
    const configs = {}
    for (const key of ['max.message.bytes', 'cleanup.policy']) {
      configs[key] = [described[key].configValue, described[key].isDefault]
    }
    const badConfig = { no: '1' }
    const badValue = { 'max.message.bytes': 'many' }
    const tooMuch = { value: Buffer.alloc(MESSAGE_BYTES_MAX + 1) }
    const errors = {
      'create again': await codeOf(() => create(admin, name)),
      'create with a bad name': await codeOf(() => create(admin, 'no blanks')),
      'create with a bad config': await codeOf(() => create(admin, other, 1, 1, badConfig)),
      'create with a bad value': await codeOf(() => create(admin, other, 1, 1, badValue)),
      'create with two copies': await codeOf(() => create(admin, other, 1, 2)),
      'grow to fewer': await codeOf(() => grow(admin, name, 4)),
      'grow unknown': await codeOf(() => grow(admin, unknown, 4)),
      'delete unknown': await codeOf(() => admin.deleteTopics({ topics: [unknown] })),
      'describe unknown': await codeOf(() => describe(admin, ConfigResourceTypes.TOPIC, unknown)),
      'send too much': await codeOf(() => send(bootstrap, name, tooMuch)),
    }
    const madeBySending = await send(bootstrap, `${prefix}-made-by-sending`, { value: '1' })
    await admin.deleteTopics({ topics: [name] })
    const left = (await admin.listTopics()).filter(topic => topic.startsWith(`${prefix}-`))
    return {
      brokers: cluster.brokers.map(broker => broker.nodeId),
      controller: cluster.controller,
      has_cluster_id: Boolean(cluster.clusterId),
      partitions,
      grown,
      configs,
      broker_id: ofBroker['broker.id'].configValue,
      errors,
      made_by_sending: madeBySending,
      left: left.sort(),
    }
  })
}

async function write(bootstrap, topic) {
  await withAdmin(bootstrap, admin =>
    create(admin, topic, 2, 1, { 'max.message.bytes': String(MESSAGE_BYTES_MAX) })
  )
  const large = Buffer.alloc(MIB)
  for (let i = 0; i < MIB; i++) {
    large[i] = i * 31 + Math.floor(i / 251)
  }
  return withProducer(bootstrap, {}, async producer => {
    const offsets = []
    for (const [name, compression] of Object.entries(CODECS)) {
      // This client cannot send a header without a value.
      const headers = {
        first: Buffer.from([0, 0xff]),
        again: [Buffer.from(name), Buffer.alloc(0)],
      }
      const messages = [
        { key: name, value: name.repeat(100), headers },
        { key: null, value: Buffer.alloc(0) },
        { key: Buffer.alloc(0), value: null },
        { key: 'large', value: large },
      ]
      messages.forEach((message, index) => {
        message.partition = 0
        message.timestamp = String(FIRST_TIME_MS + 1000 * (offsets.length + index))
      })
      const [{ baseOffset }] = await producer.send({ topic, compression, messages })
      messages.forEach((_, index) => offsets.push(Number(baseOffset) + index))
    }
    return { offsets }
  })
}

// Important users have the first partition, the others share the rest.
function partitionOfUser({ partitionMetadata, message }) {
  if (message.key.startsWith('vip-')) {
    return 0
  }
  const sum = Buffer.from(message.key).reduce((sum, byte) => sum + byte, 0)
  return 1 + (sum % (partitionMetadata.length - 1))
}

async function place(bootstrap) {
  const custom = []
  for (let number = 0; number < OF_EACH_USER; number++) {
    USERS.forEach(user => custom.push({ key: user, value: String(number) }))
  }
  const roundRobin = []
  for (let number = 0; number < ROUND_ROBIN_COUNT; number++) {
    roundRobin.push({ value: String(number) })
  }
  const keyed = []
  for (let number = 0; number < OF_EACH_KEY; number++) {
    for (let key = 0; key < KEYS; key++) {
      keyed.push({ key: `key-${key}`, value: String(number) })
    }
  }
  const byUser = { createPartitioner: () => partitionOfUser }
  await withProducer(bootstrap, byUser, producer =>
    producer.send({ topic: 'custom', messages: custom })
  )
  // What has no key takes turns by itself.
  await withProducer(bootstrap, {}, async producer => {
    await producer.send({ topic: 'round-robin', messages: roundRobin })
    await producer.send({ topic: 'keyed', messages: keyed })
  })
  return { acknowledged: custom.length + roundRobin.length + keyed.length }
}

// One request at a time: after a connection has ended, this client gives the numbers of what it will
// send again to whatever it sends first.
async function load(bootstrap, topic, partitions) {
  let isOver = false
  process.stdin.on('end', () => (isOver = true)).resume()
  const result = { unsettled: 0, misplaced: 0, errors: [], sent: 0 }
  await withProducer(bootstrap, {}, async producer => {
    for (let first = 0; !isOver; first += TOGETHER) {
      const messages = []
      for (let number = first; number < first + TOGETHER; number++) {
        for (let partition = 0; partition < Number(partitions); partition++) {
          messages.push({ value: String(number), partition })
        }
      }
      const before = result.sent
      result.sent += messages.length
      try {
        const acknowledged = await producer.send({ topic, messages })
        const misplaced = acknowledged.filter(one => Number(one.baseOffset) !== first)
        result.misplaced += misplaced.length * TOGETHER
        result.unsettled += (Number(partitions) - acknowledged.length) * TOGETHER
        if (Math.floor(before / 1000) < Math.floor(result.sent / 1000)) {
          console.log(result.sent)
        }
      } catch (error) {
        result.errors.push(String(error))
        return
      }
    }
  })
  return result
}

async function main() {
  const commands = { topics, write, place, load }
  const [command, ...rest] = process.argv.slice(2)
  console.log(JSON.stringify(await commands[command](...rest)))
}

main()
