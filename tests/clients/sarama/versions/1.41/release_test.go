package main

import "github.com/IBM/sarama"

func strategies(sarama.KafkaVersion) []string { return []string{"range", "roundrobin", "sticky"} }

func setStrategy(config *sarama.Config, name string) {
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{map[string]sarama.BalanceStrategy{
		"range": sarama.NewBalanceStrategyRange(), "roundrobin": sarama.NewBalanceStrategyRoundRobin(),
		"sticky": sarama.NewBalanceStrategySticky(),
	}[name]}
}

func setIncrementally(admin sarama.ClusterAdmin, topic, key, value string) error {
	change := map[string]sarama.IncrementalAlterConfigsEntry{
		key: {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value},
	}
	return admin.IncrementalAlterConfig(sarama.TopicResource, topic, change, false)
}
