'use strict'
// kafkajs against the broker in BROKER. Every line that the client logs at WARN or ERROR fails the test, unless the
// test announced it.

const { test } = require('node:test')
const assert = require('node:assert')
const { randomBytes } = require('node:crypto')
const { readFileSync } = require('node:fs')
const { Kafka, CompressionTypes, ConfigResourceTypes, PartitionAssigners, logLevel } = require('kafkajs')

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
const PATIENCE_MS = 30000
const SETTLE_MS = Number(process.env.SETTLE_MS || 0)

let logged = []
let expected = []
const logCreator = () => ({ namespace, label, log }) => {
  logged.push(`${label} ${namespace}: ${log.message} ${log.error || ''}`)
}
const kafka = new Kafka({
  clientId: 'kafkajs-suite',
  brokers: [process.env.BROKER],
  connectionTimeout: PATIENCE_MS, // a second, if it is not said
  logLevel: logLevel.WARN,
  logCreator
})

const fresh = prefix => `${prefix}-${randomBytes(4).toString('hex')}`
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))
const settle = () => sleep(SETTLE_MS)
const knownFailures = () => {
  if (process.env.TARGET === 'kafka' || process.env.KNOWN) return new Map()
  const lines = readFileSync(process.env.KNOWN_FAILURES, 'utf8').split('\n').filter(Boolean)
  return new Map(lines.map(line => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]))
}
const known = knownFailures()

const eventually = async (what, condition) => {
  const deadline = Date.now() + PATIENCE_MS
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`)
    await sleep(20)
  }
}

/** A test with clients that are closed after it: `open` connects one and remembers it. */
const check = (name, body) =>
  test(name, { skip: known.get(name) || false }, async () => {
    const opened = []
    logged = []
    expected = []
    const open = async client => {
      await client.connect()
      opened.push(client)
      return client
    }
    try {
      await body(open)
    } finally {
      for (const client of opened.reverse()) await client.disconnect()
    }
    const trouble = logged.filter(line => !expected.some(part => line.includes(part)))
    assert.deepStrictEqual(trouble, [], 'the client logged trouble')
  })

const createTopic = async (admin, numPartitions = 1, configs = {}) => {
  const topic = fresh('topic')
  // Records of long ago are not to be cleaned away under a test.
  const configEntries = Object.entries({ 'retention.ms': '-1', ...configs }).map(([name, value]) => ({ name, value }))
  assert.strictEqual(await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] }), true)
  await settle()
  return topic
}

const values = count => Array.from({ length: count }, (_, number) => ({ key: `key-${number}`, value: `value ${number}` }))

/** Reads with a group of its own until it has `count` messages. */
const take = async (open, topic, count, groupId = fresh('group')) => {
  const consumer = await open(kafka.consumer({ groupId, heartbeatInterval: 300, maxWaitTimeInMs: 100 }))
  const found = []
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ eachMessage: async ({ partition, message }) => { found.push({ partition, ...message }) } })
  await eventually(`${count} messages`, () => found.length >= count)
  assert.strictEqual(found.length, count)
  return found
}

check('codecs', async open => {
  const admin = await open(kafka.admin())
  const producer = await open(kafka.producer())
  for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
    const topic = await createTopic(admin)
    await producer.send({ topic, compression, messages: values(100) })
    const found = await take(open, topic, 100)
    assert.deepStrictEqual(found.map(message => message.value.toString()), values(100).map(message => message.value))
    assert.deepStrictEqual(found.map(message => Number(message.offset)), values(100).map((_, number) => number))
  }
})

check('acks', async open => {
  const admin = await open(kafka.admin())
  const producer = await open(kafka.producer())
  for (const acks of [0, 1, -1]) {
    const topic = await createTopic(admin)
    const answer = await producer.send({ topic, acks, messages: values(10) })
    if (acks !== 0) assert.deepStrictEqual([answer[0].errorCode, answer[0].baseOffset], [0, '0'])
    await take(open, topic, 10)
  }
})

check('idempotent', async open => {
  const topic = await createTopic(await open(kafka.admin()))
  const producer = await open(kafka.producer({ idempotent: true, maxInFlightRequests: 1 }))
  for (let batch = 0; batch < 10; batch++) await producer.send({ topic, messages: values(20) })
  const found = await take(open, topic, 200)
  assert.deepStrictEqual(found.map(message => Number(message.offset)), values(200).map((_, number) => number))
})

check('headers, nulls and timestamps', async open => {
  const topic = await createTopic(await open(kafka.admin()))
  const producer = await open(kafka.producer())
  const headers = { colour: ['blue', 'red'], size: '3' }
  await producer.send({ topic, messages: [{ key: 'key', value: null, headers, timestamp: '1600000000000' }, { value: '' }] })
  const [first, second] = await take(open, topic, 2)
  assert.deepStrictEqual([first.value, first.key.toString(), first.timestamp], [null, 'key', '1600000000000'])
  assert.deepStrictEqual(first.headers.colour.map(String), ['blue', 'red'])
  assert.strictEqual(String(first.headers.size), '3')
  assert.deepStrictEqual([second.key, second.value.toString()], [null, ''])
})

check('too large is refused', async open => {
  const topic = await createTopic(await open(kafka.admin()), 1, { 'max.message.bytes': '20000' })
  const producer = await open(kafka.producer({ retry: { retries: 0 } }))
  expected = ['Response Produce', 'MESSAGE_TOO_LARGE', 'larger than the max']
  await assert.rejects(producer.send({ topic, messages: [{ value: 'x'.repeat(30000) }] }), { type: 'MESSAGE_TOO_LARGE' })
})

check('transactions', async open => {
  expected = ['another concurrent operation on the same transaction'] // the markers of the one before are on their way
  const topic = await createTopic(await open(kafka.admin()))
  const settings = { transactionalId: fresh('transaction'), idempotent: true, maxInFlightRequests: 1 }
  const producer = await open(kafka.producer(settings))
  const kept = await producer.transaction()
  await kept.send({ topic, messages: [{ value: 'kept' }] })
  await kept.commit()
  const dropped = await producer.transaction()
  await dropped.send({ topic, messages: [{ value: 'dropped' }] })
  await dropped.abort()
  const last = await producer.transaction()
  const groupId = fresh('group')
  await last.send({ topic, messages: [{ value: 'kept too' }] })
  await last.sendOffsets({ consumerGroupId: groupId, topics: [{ topic, partitions: [{ partition: 0, offset: '1' }] }] })
  await last.commit()
  const found = await take(open, topic, 2)
  assert.deepStrictEqual(found.map(message => message.value.toString()), ['kept', 'kept too'])
})

check('admin topics', async open => {
  const admin = await open(kafka.admin())
  const topic = await createTopic(admin, 3)
  const described = await admin.fetchTopicMetadata({ topics: [topic] })
  assert.strictEqual(described.topics[0].partitions.length, 3)
  assert.ok((await admin.listTopics()).includes(topic))
  assert.strictEqual(await admin.createTopics({ topics: [{ topic }] }), false, 'it is there already')
  await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
  await settle()
  assert.strictEqual((await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length, 5)
  await admin.deleteTopics({ topics: [topic] })
  await settle()
  assert.ok(!(await admin.listTopics()).includes(topic))
  expected = ['Response CreateTopics', 'Response Metadata']
  await assert.rejects(admin.createTopics({ topics: [{ topic: 'no/slash' }] }), error => error.errors[0].type === 'INVALID_TOPIC_EXCEPTION')
})

check('admin configs and cluster', async open => {
  const admin = await open(kafka.admin())
  const topic = await createTopic(admin, 1, { 'retention.ms': '3600000' })
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms', 'cleanup.policy'] }]
  const read = async () => {
    const answer = await admin.describeConfigs({ resources, includeSynonyms: false })
    return Object.fromEntries(answer.resources[0].configEntries.map(entry => [entry.configName, entry.configValue]))
  }
  assert.deepStrictEqual(await read(), { 'retention.ms': '3600000', 'cleanup.policy': 'delete' })
  const configEntries = [{ name: 'cleanup.policy', value: 'compact' }]
  await admin.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }] })
  await settle()
  assert.deepStrictEqual(await read(), { 'retention.ms': '604800000', 'cleanup.policy': 'compact' })
  const cluster = await admin.describeCluster()
  assert.deepStrictEqual(cluster.brokers.map(broker => `${broker.host}:${broker.port}`), [process.env.BROKER])
})

check('admin offsets and records', async open => {
  const admin = await open(kafka.admin())
  const topic = await createTopic(admin)
  const producer = await open(kafka.producer())
  const messages = values(5).map((message, number) => ({ ...message, timestamp: String(1600000000000 + number * 1000) }))
  await producer.send({ topic, messages })
  assert.deepStrictEqual(await admin.fetchTopicOffsets(topic), [{ partition: 0, offset: '5', high: '5', low: '0' }])
  assert.deepStrictEqual(await admin.fetchTopicOffsetsByTimestamp(topic, 1600000002000), [{ partition: 0, offset: '2' }])
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '3' }] })
  assert.strictEqual((await admin.fetchTopicOffsets(topic))[0].low, '3')
  const found = await take(open, topic, 2)
  assert.deepStrictEqual(found.map(message => message.offset), ['3', '4'])
})

check('admin groups', async open => {
  const admin = await open(kafka.admin())
  const topic = await createTopic(admin)
  const groupId = fresh('group')
  const producer = await open(kafka.producer())
  await producer.send({ topic, messages: values(3) })
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 300, maxWaitTimeInMs: 100 })
  await consumer.connect()
  let count = 0
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ eachMessage: async () => { count++ } })
  await eventually('3 messages', () => count === 3)
  const described = (await admin.describeGroups([groupId])).groups[0]
  assert.deepStrictEqual([described.state, described.members.length], ['Stable', 1])
  expected = ['Response DeleteGroups']
  await assert.rejects(admin.deleteGroups([groupId]), error => error.groups[0].error.type === 'NON_EMPTY_GROUP')
  await consumer.disconnect()
  assert.strictEqual((await admin.describeGroups([groupId])).groups[0].state, 'Empty')
  assert.ok((await admin.listGroups()).groups.some(group => group.groupId === groupId))
  const offsets = async () => (await admin.fetchOffsets({ groupId, topics: [topic] }))[0].partitions[0].offset
  assert.strictEqual(await offsets(), '3')
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '1' }] })
  assert.strictEqual(await offsets(), '1')
  await admin.deleteGroups([groupId])
  assert.ok(!(await admin.listGroups()).groups.some(group => group.groupId === groupId))
})

check('seek, pause and resume', async open => {
  const topic = await createTopic(await open(kafka.admin()))
  const producer = await open(kafka.producer())
  await producer.send({ topic, messages: values(10) })
  const consumer = await open(kafka.consumer({ groupId: fresh('group'), heartbeatInterval: 300, maxWaitTimeInMs: 100 }))
  const seen = []
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => { seen.push(message.offset) } })
  await eventually('10 messages', () => seen.length === 10)
  consumer.seek({ topic, partition: 0, offset: '7' })
  await eventually('3 again', () => seen.length === 13)
  assert.deepStrictEqual(seen.slice(10), ['7', '8', '9'])
  consumer.pause([{ topic }])
  await producer.send({ topic, messages: values(1) })
  await sleep(400)
  assert.strictEqual(seen.length, 13)
  consumer.resume([{ topic }])
  await eventually('one more', () => seen.length === 14)
})

check('groups of three rebalance and resume', async open => {
  const admin = await open(kafka.admin())
  const topic = await createTopic(admin, 6)
  const producer = await open(kafka.producer())
  const groupId = fresh('group')
  const fill = () =>
    producer.send({ topic, messages: Array.from({ length: 60 }, (_, number) => ({ partition: number % 6, value: 'x' })) })
  expected = ['The group is rebalancing', 'Response Heartbeat']
  const member = async () => {
    const consumer = kafka.consumer({ groupId, heartbeatInterval: 300, maxWaitTimeInMs: 100, partitionAssigners: [PartitionAssigners.roundRobin] })
    const self = { consumer, seen: new Set(), partitions: [] }
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => { self.partitions = payload.memberAssignment[topic] || [] })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      autoCommitInterval: 200,
      eachMessage: async ({ partition, message }) => { self.seen.add(`${partition}/${message.offset}`) },
    })
    return self
  }
  const all = members => new Set(members.flatMap(one => [...one.seen]))
  const shared = (members, sizes) =>
    eventually(`shared as ${sizes}`, () => String(members.map(one => one.partitions.length).sort()) === String(sizes))
  await fill()
  const members = [await member()]
  try {
    await shared(members, [6])
    members.push(await member(), await member())
    await shared(members, [2, 2, 2])
    await fill()
    await eventually('120 messages', () => all(members).size >= 120)
    await members[2].consumer.disconnect()
    await shared(members.slice(0, 2), [3, 3])
    await fill()
    await eventually('180 messages', () => all(members).size >= 180)
  } finally {
    for (const one of members) await one.consumer.disconnect()
  }
  await fill()
  const later = await member()
  try {
    await eventually('60 messages', () => later.seen.size >= 60)
    assert.ok([...later.seen].every(place => Number(place.split('/')[1]) >= 30), 'it resumed')
  } finally {
    await later.consumer.disconnect()
  }
})
