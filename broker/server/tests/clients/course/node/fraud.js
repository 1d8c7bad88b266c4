// Finds payments that are suspicious because of what the same card has done before.
//
// fraud.js BOOTSTRAP
//
// Payments have their card as key, so that those of one card are in one partition and in order, and
// whoever reads the partition knows all of the card's past. Two rules: three payments within a minute,
// and two cities within an hour. Prints the alerts, as they are read from their topic.
'use strict'

const { consume, createTopics, main, read, send, withProducer } = require('./course')

const MINUTE = 60
const HOUR = 60 * MINUTE

const PAYMENTS = [
  [0, 'red', 'Lisbon', 20],
  [10, 'blue', 'Porto', 35],
  [30, 'red', 'Lisbon', 5],
  // The third within a minute.
  [55, 'red', 'Lisbon', 900],
  [90, 'blue', 'Porto', 12],
  [100, 'green', 'Faro', 60],
  // Within a minute of the third only: the second was longer ago.
  [91, 'red', 'Lisbon', 30],
  [1000, 'blue', 'Porto', 40],
  // Half an hour after it was in Faro.
  [1900, 'green', 'Braga', 75],
  // Far away as well, but hours later.
  [9000, 'blue', 'Faro', 80],
  [9020, 'blue', 'Faro', 81],
].map(([second, card, city, amount]) => ({ second, card, city, amount }))

const RULES = {
  'three within a minute': (payment, past) =>
    2 <= past.filter(({ second }) => payment.second - second < MINUTE).length,
  'two cities within an hour': (payment, past) => past.some(({ city }) => city !== payment.city),
}

main(async kafka => {
  await createTopics(kafka, 'payments', 'alerts')
  await send(kafka, 'payments', PAYMENTS, payment => payment.card)
  await withProducer(kafka, async producer => {
    const pasts = new Map()
    const job = { groupId: 'fraud-detection', topic: 'payments', count: PAYMENTS.length }
    await consume(kafka, job, async payment => {
      // What is older matters to no rule.
      const past = (pasts.get(payment.card) ?? []).filter(({ second }) => payment.second - second < HOUR)
      for (const [rule, isBroken] of Object.entries(RULES)) {
        if (isBroken(payment, past)) {
          const value = JSON.stringify({ rule, payment })
          await producer.send({ topic: 'alerts', messages: [{ key: payment.card, value }] })
        }
      }
      pasts.set(payment.card, [...past, payment])
    })
  })
  return read(kafka, 'bank', 'alerts')
})
