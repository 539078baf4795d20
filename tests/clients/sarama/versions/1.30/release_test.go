package main

import "github.com/IBM/sarama"

func strategies(sarama.KafkaVersion) []string { return []string{"range", "roundrobin", "sticky"} }

func setStrategy(config *sarama.Config, name string) {
	config.Consumer.Group.Rebalance.Strategy = map[string]sarama.BalanceStrategy{
		"range": sarama.BalanceStrategyRange, "roundrobin": sarama.BalanceStrategyRoundRobin,
		"sticky": sarama.BalanceStrategySticky,
	}[name]
}

// This release has no IncrementalAlterConfig.
func setIncrementally(admin sarama.ClusterAdmin, topic, key, value string) error {
	return admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{key: &value}, false)
}
